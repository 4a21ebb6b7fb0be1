"""The times and shares of the dispatcher."""

from dataclasses import dataclass

from services.core.lanes import BACKFILL_SHARE


@dataclass(frozen=True)
class Pace:
    """Times in seconds, and numbers of tries."""

    lease_s: float = 60.0
    """Long enough to outlast a pause of the process or the ledger, short enough to wait for after a kill."""
    poll_s: float = 0.5
    """Between two polls of calls that run in other processes, all in one batch."""
    retries: int = 3
    """The back-off after a call's first failed send."""
    retry_first_s: float = 1.0
    retry_most_s: float = 10.0
    ledger_first_s: float = 1.0
    ledger_most_s: float = 5.0
    """A ledger that is away is tried again within 5 s (rule 10)."""
    drain_s: float = 30.0
    """How long a drain waits for calls in flight before they are cancelled."""
    backfill_share: float = BACKFILL_SHARE
    """Of a model's permits, while calls of both lanes wait."""


def backoff(tries: int, first_s: float, most_s: float) -> float:
    """Exponential back-off in seconds after `tries` tries (from 1), up to `most_s`."""
    return float(min(most_s, first_s * 2 ** min(tries - 1, 10)))


def next_tick(now: float, every_s: float) -> float:
    """The next full multiple of `every_s`, so that all waiters wake together and their requests form one batch."""
    return (now // every_s + 1) * every_s
