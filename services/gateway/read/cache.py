"""An answer that is asked for no more often than is useful."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class TtlCache(Generic[T]):
    """The latest answer to `ask`, or, after `keep_s` seconds, a new one. Callers at a time share one question."""

    def __init__(
        self, ask: Callable[[], Awaitable[T]], keep_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._keep_s = keep_s
        self._clock = clock
        self._lock = asyncio.Lock()
        self._latest: tuple[float, T] | None = None

    async def __call__(self) -> T:
        """An answer from within the last `keep_s` seconds. Raises what `ask` raises, which is not kept."""
        async with self._lock:
            if self._latest is None or self._clock() - self._latest[0] >= self._keep_s:
                answer = await self._ask()
                self._latest = (self._clock(), answer)
            return self._latest[1]
