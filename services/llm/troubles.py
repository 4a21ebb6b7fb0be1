"""What can go wrong at a model server, finer than services.core.errors: only what the permits need to tell apart.

ModelAway ── Busy      429: the server is there, and has too much to do
Retry     ── TimedOut  the call's time is up
Reject    ── TooLarge  more bytes than any reply may have
"""

from services.contracts.case import Usage
from services.core.errors import ModelAway, Reject, Retry


class Busy(ModelAway):
    """The server refuses calls because it has too many."""


class TimedOut(Retry):
    """No whole reply within the call's time."""


class TooLarge(Reject):
    """The reply exceeds its bound: what it cost is known only where it could be read."""

    def __init__(self, error: str, usage: Usage | None = None) -> None:
        super().__init__(error)
        self.usage = usage or Usage()
