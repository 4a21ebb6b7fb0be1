"""What the engine counts: plain numbers, exported by metrics.py."""

from collections import Counter
from dataclasses import dataclass, field

from services.contracts.dead import DeadKind
from services.runtime.source import TopicPartition


@dataclass
class EngineStats:
    """Since the start of the process; the last six are of now."""

    taken: int = 0
    finished: int = 0
    """With an output, and with a dead letter."""
    dead: Counter[DeadKind] = field(default_factory=Counter)
    skipped: int = 0
    """Delivered again and finished before, as the commit's metadata said."""
    absent: int = 0
    """Offsets that were never delivered: gone by retention, if by anything that is meant to be."""
    retried: int = 0
    """Tries after the handler raised what it shouldn't."""
    waited: int = 0
    """Tries after a dependency was away."""
    commits: int = 0
    commits_failed: int = 0
    rebalances: int = 0

    under_way: int = 0
    windows: dict[TopicPartition, int] = field(default_factory=dict)
    """Offsets that were read and can't be committed yet."""
    lag: dict[TopicPartition, int] = field(default_factory=dict)
    circuit_open: bool = False
    draining: bool = False
    fetches: int = 0
    """Polls that brought a message: it moves as long as anything does."""
