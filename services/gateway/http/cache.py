"""A single-flight cache with a TTL."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class TtlCache(Generic[T]):
    """Keeps the result of `ask` for `keep_s` seconds. Concurrent callers share one call."""

    def __init__(
        self, ask: Callable[[], Awaitable[T]], keep_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._keep_s = keep_s
        self._clock = clock
        self._lock = asyncio.Lock()
        self._latest: tuple[float, T] | None = None

    async def __call__(self) -> T:
        """A result not older than `keep_s` seconds. Raises what `ask` raises; errors are not kept."""
        async with self._lock:
            if self._latest is None or self._clock() - self._latest[0] >= self._keep_s:
                answer = await self._ask()
                self._latest = (self._clock(), answer)
            return self._latest[1]
