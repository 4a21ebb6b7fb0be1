"""What the ports of one memory ledger share."""

import time
from collections.abc import Callable

from services.core.errors import LedgerAway


class MemoryServer:
    """A clock, and an outage: set `away` to a reason, and every method of the ports raises LedgerAway with it."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.away: str | None = None
        self.clock = clock

    def now(self) -> float:
        """Unix time in seconds. Raises LedgerAway during an outage."""
        if self.away is not None:
            raise LedgerAway(self.away)
        return self.clock()
