"""Counters since the start of the process, exported by metrics.py."""

from collections import Counter
from dataclasses import dataclass, field

from services.contracts.dead import DeadKind
from services.core.errors import Dependency


@dataclass
class Counters:
    """The counters of one engine. Its current state is in state.py."""

    taken: int = 0
    finished: int = 0
    """Records that ended, with an output or a dead letter."""
    dead: Counter[DeadKind] = field(default_factory=Counter)
    skipped: int = 0
    """Records delivered again that the commit's metadata names as finished."""
    absent: int = 0
    """Offsets that were never delivered: deleted by retention, for example."""
    retried: int = 0
    """Retries after the handler raised an unexpected exception."""
    waits: Counter[Dependency] = field(default_factory=Counter)
    """Retries while a dependency was away."""
    commits: int = 0
    commits_failed: int = 0
    rebalances: int = 0
    fetches: int = 0
    """Polls that returned a record."""
    pauses: int = 0
    """Polls with no partition wanted."""
