"""The engine's limits and patience: one frozen value."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Times in seconds."""

    cases: int = 16
    """Messages under way at once in this process (rule 2)."""
    window: int = 1_024
    """Offsets of a partition that were read and can't be committed yet: a stuck one lets no more in (rule 2)."""
    poll_s: float = 0.5
    """The longest between two polls."""
    commit_s: float = 0.4
    """Between two commits: what a kill repeats was finished within it."""
    revoke_s: float = 3.0
    """The last commit of a revocation; the whole group waits for it (rule 5)."""
    drain_s: float = 150.0
    """From SIGTERM to the moment at which what is under way is cancelled (rule 9)."""
    let_go_s: float = 5.0
    """For closing what was cancelled: an attempt in the ledger."""
    away_s: float = 5.0
    """The longest between two tries at a dependency that is away (rule 10)."""
    publish_s: float = 45.0
    """A publish that takes longer makes the worker red: its sink gives up sooner, with BrokerAway."""
    tries: int = 3
    """Of a handler that raises what it shouldn't; then the message is a dead letter of the kind 'defect'."""
    retry_s: float = 1.0
    """Between those tries."""
    killed: int = 3
    """Attempts left open by other processes from which on a message runs alone; above it, it is dead (rule 12)."""
    watch_s: float = 5.0
    """Between two looks at lag and broker."""
    still_s: float = 15.0
    """Lag, nothing fetched and nothing paused for so long: the process stands still (rule 10)."""
    wedged_s: float = 120.0
    """A broker that a new connection reaches, and ours doesn't, or no assignment, for so long: as well. Longer than
    a rebalance with a dead member takes."""
