"""The dispatcher's times as one value."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """The dispatcher's times, in seconds, and how often it tries."""

    lease_s: float = 60.0
    """Long enough to outlast a pause of the process or the ledger, short enough to wait for after a kill."""
    poll_s: float = 0.5
    """Between two looks at calls that run elsewhere, for all of them at once."""
    retries: int = 3
    """After the first send of a call that went wrong."""
    retry_first_s: float = 1.0
    retry_most_s: float = 10.0
    ledger_first_s: float = 1.0
    ledger_most_s: float = 5.0
    """A ledger that is away is tried again within 5 s (rule 10)."""
    drain_s: float = 30.0
    """How long calls under way are waited for on leaving, before they are cancelled."""


def backoff(tries: int, first_s: float, most_s: float) -> float:
    """Seconds to wait after so many tries (from 1): doubling, up to the most."""
    return float(min(most_s, first_s * 2 ** min(tries - 1, 10)))


def next_tick(now: float, every_s: float) -> float:
    """The next full multiple of so many seconds: all who wait for it wake together, and ask in one batch."""
    return (now // every_s + 1) * every_s
