"""The engine's limits, time-outs and back-offs: one frozen value."""

from dataclasses import dataclass

from services.core.lanes import BACKFILL_SHARE


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Times in seconds."""

    cases: int = 16
    """Records of a topic in flight at once in this process (rule 2). By topic: one topic never blocks another."""
    in_order: bool = False
    """Whether the records of a partition are processed one after the other, in the order of their offsets."""
    by_priority: tuple[str, ...] = ()
    """Topics that share the room `cases` in each lane: a record of a later one is taken only while none of an earlier
    one of its lane is there. For topics whose records come from those of later ones, so that none can starve."""
    backfill_share: float = BACKFILL_SHARE
    """Of the records taken, while records of both lanes wait."""
    window: int = 1_024
    """Offsets of a partition that were read and can't be committed yet: a stuck one lets no more in (rule 2)."""
    poll_s: float = 0.5
    """The longest between two polls."""
    commit_s: float = 0.4
    """Between two commits: a kill repeats what finished within it."""
    revoke_s: float = 3.0
    """The last commit of a revocation; the whole group waits for it (rule 5)."""
    leave_s: float = 2.0
    """From SIGTERM to leaving the group (rule 9): what ends within it is published. Of the rest, model calls continue
    into the ledger, where the partitions' new owner waits for their replies (rule 5)."""
    close_s: float = 5.0
    """For closing the attempt of a cancelled record in the ledger."""
    away_s: float = 5.0
    """The longest between two tries at a dependency that is away (rule 10)."""
    publish_s: float = 45.0
    """A publish that takes longer makes the worker red: its sink gives up sooner, with BrokerAway."""
    tries: int = 3
    """Of a handler that raises an unexpected exception; then the record is a dead letter of the kind 'defect'."""
    retry_s: float = 1.0
    """Between those tries."""
    crashes: int = 3
    """Attempts left open by other processes from which on a record runs alone; above it, it is dead (rule 12)."""
    watch_s: float = 5.0
    """Between two looks at lag and broker."""
    still_s: float = 15.0
    """With lag, nothing fetched and nothing paused for so long, the client is stalled (rule 10)."""
    wedged_s: float = 120.0
    """With a broker that a new connection reaches and ours doesn't, or no assignment, for so long: stalled too. Longer
    than a rebalance with a dead member takes."""
