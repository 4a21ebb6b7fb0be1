"""Whether Kafka can be reached, asked no more often than is useful."""

import asyncio
import time
from collections.abc import Awaitable, Callable

KEEP_S = 1.0
"""Seconds that an answer holds: whoever calls /readyz in a loop makes no more than one connection a second."""


class Readiness:
    """The latest answer to `ask`, or a new one. Callers at the same time share one question."""

    def __init__(self, ask: Callable[[], Awaitable[bool]], clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._lock = asyncio.Lock()
        self._latest = (float("-inf"), False)

    async def __call__(self) -> bool:
        """Whether Kafka answered, within the last second."""
        async with self._lock:
            asked_at, answer = self._latest
            if self._clock() - asked_at >= KEEP_S:
                answer = await self._ask()
                self._latest = (self._clock(), answer)
            return answer
