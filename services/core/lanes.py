"""Whose turn it is where both lanes wait. Pure."""

from typing import Final

from services.contracts.topics import Lane

BACKFILL_SHARE: Final = 0.1
"""The share of the turns that backfill has while live questions wait: enough that it cannot starve."""


class Turns:
    """Live goes first, but for every n-th turn, which is backfill's; a lane that waits alone has every turn.

    Nothing here is worth keeping over a restart: the lane of a question is its topic, and the first turn is backfill's,
    so that it has a turn even in a process that ends soon.
    """

    def __init__(self, share: float = BACKFILL_SHARE) -> None:
        """`share`: of the turns, for backfill; above 0, at most a half."""
        self._live_most = max(1, round(1 / share) - 1)
        self._live = self._live_most

    def first(self) -> Lane:
        """The lane that goes first now."""
        return "backfill" if self._live >= self._live_most else "live"

    def took(self, lane: Lane) -> None:
        """A lane has had a turn."""
        self._live = 0 if lane == "backfill" else self._live + 1
