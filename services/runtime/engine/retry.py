"""A dependency that is away is waited for, with the message held: never a dead letter (rule 3)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from services.core.errors import Away
from services.core.holds import Holds
from services.runtime.engine.stats import EngineStats

T = TypeVar("T")

log = structlog.get_logger(__name__)

FIRST_S = 0.1
SLACK_S = 5.0
"""Beyond a wait, before it counts as overdue: the event loop may stutter."""


class RetryPolicy:
    """Tries again until it works: at first soon, then every `longest_s` seconds."""

    def __init__(self, *, holds: Holds, stats: EngineStats, longest_s: float) -> None:
        self._holds = holds
        self._stats = stats
        self._longest_s = longest_s

    async def retry_while_away(self, what: str, action: Callable[[], Awaitable[T]]) -> T:
        """The result of `action`, which is begun anew each time it raises Away. `what` says in health who waits."""
        wait_s = FIRST_S
        while True:
            try:
                return await action()
            except Away as away:
                self._stats.waits[away.dependency] += 1
                wait_s = min(max(wait_s, away.retry_after or 0.0), self._longest_s)
                log.warning("away", what=what, error=str(away), again_in_s=wait_s)
                with self._holds.hold(f"{what}: {away}", "away", for_s=wait_s + SLACK_S):
                    await asyncio.sleep(wait_s)
                wait_s *= 2
