"""While a dependency is away, the record is held and the call retried: never a dead letter (rule 3)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from services.core.errors import Away
from services.core.holds import Holds
from services.runtime.engine.counters import Counters

T = TypeVar("T")

log = structlog.get_logger(__name__)

FIRST_S = 0.1
"""Seconds before the first retry."""
SLACK_S = 5.0
"""Added to a wait before it counts as overdue: the event loop may be late."""


class RetryPolicy:
    """Exponential back-off without an end: from FIRST_S up to `longest_s` seconds."""

    def __init__(self, *, holds: Holds, counters: Counters, longest_s: float) -> None:
        self._holds = holds
        self._counters = counters
        self._longest_s = longest_s

    async def retry_while_away(self, what: str, action: Callable[[], Awaitable[T]]) -> T:
        """The result of `action`, which is called again each time it raises Away. `what` names in health what waits."""
        wait_s = FIRST_S
        while True:
            try:
                return await action()
            except Away as away:
                self._counters.waits[away.dependency] += 1
                wait_s = min(max(wait_s, away.retry_after or 0.0), self._longest_s)
                log.warning("away", what=what, error=str(away), again_in_s=wait_s)
                with self._holds.hold(f"{what}: {away}", "away", for_s=wait_s + SLACK_S):
                    await asyncio.sleep(wait_s)
                wait_s *= 2
