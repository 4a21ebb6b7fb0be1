"""What the engine counts: plain numbers, exported by metrics.py."""

from collections import Counter
from dataclasses import dataclass, field

from services.contracts.dead import DeadKind
from services.core.errors import Dependency
from services.runtime.engine.source import TopicPartition


@dataclass
class EngineStats:
    """Since the start of the process; the last seven are of now."""

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
    waits: Counter[Dependency] = field(default_factory=Counter)
    """Tries after a dependency was away."""
    commits: int = 0
    commits_failed: int = 0
    rebalances: int = 0

    begun_written_ms: int = 0
    """When the message that was begun last had been written, in Unix time; 0 before the first."""
    under_way: int = 0
    windows: dict[TopicPartition, int] = field(default_factory=dict)
    """Offsets that were read and can't be committed yet."""
    lag: dict[TopicPartition, int] = field(default_factory=dict)
    circuit_open: bool = False
    draining: bool = False
    fetches: int = 0
    """Polls that brought a message: it moves as long as anything does."""

    @property
    def waited(self) -> int:
        """Tries after any dependency was away."""
        return self.waits.total()
