"""What consumer groups show of their services, from look to look: none left, restarts, nothing finished. Pure."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from services.runtime.kafka.admin import Group

WINDOW_S = 300.0
"""Seconds in which restarts are counted."""
MORE_THAN_A_DEPLOY = 2
"""Restarts beyond one of each worker, which a rolling change makes, from which a service counts as restarting."""
DOWN_S = 5.0
"""Seconds without a member after which no worker runs: less than a rebalance takes."""
STILL_S = 60.0
"""Seconds in which nothing is finished, although messages wait, after which a group stands still."""


@dataclass(frozen=True)
class GroupSign:
    """What a group shows now."""

    lag: int = 0
    restarts: int = 0
    """Restarts in the window, where they are more than a rolling change makes; else 0."""
    window_s: float = WINDOW_S
    down: bool = False
    """No member for DOWN_S seconds."""
    still_s: float = 0.0
    """Seconds in which nothing was finished while messages waited, from STILL_S on; else 0."""


class GroupWatch:
    """Remembers the looks of a window."""

    def __init__(self) -> None:
        self._groups: dict[str, _History] = {}

    def note(self, at: float, groups: Mapping[str, Group], lag: Mapping[str, int]) -> dict[str, GroupSign]:
        """Add a look at `at` (seconds); `lag`: messages not finished, by group. Returns what each group shows."""
        return {
            name: self._groups.setdefault(name, _History()).note(at, group, lag.get(name, 0))
            for name, group in groups.items()
        }


class _History:
    def __init__(self) -> None:
        self._looks: deque[tuple[float, frozenset[str]]] = deque()
        self._finished = -1
        self._moved_at = 0.0
        self._seen_at: float | None = None

    def note(self, at: float, group: Group, lag: int) -> GroupSign:
        self._looks.append((at, group.members))
        while self._looks[0][0] < at - WINDOW_S:
            self._looks.popleft()
        if group.finished != self._finished or not lag:
            self._finished, self._moved_at = group.finished, at
        if group.members or self._seen_at is None:
            self._seen_at = at
        still = at - self._moved_at
        return GroupSign(
            lag=lag,
            restarts=self._restarts(),
            down=at - self._seen_at >= DOWN_S,
            still_s=still if still >= STILL_S else 0.0,
        )

    def _restarts(self) -> int:
        members = [each for _, each in self._looks]
        first = len(members[0])
        joined = sum(len(now - before) for before, now in pairwise(members))
        restarts = joined - (max(map(len, members)) - first)  # less those that were added
        return restarts if restarts >= max(first, 1) + MORE_THAN_A_DEPLOY else 0
