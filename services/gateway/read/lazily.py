"""A store that is opened at first use, and again after an outage: a gateway without it accepts questions."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Generic, Self, TypeVar

import structlog

from services.core.errors import LedgerAway
from services.ledger.errors import LedgerUnusable

log = structlog.get_logger(__name__)

S = TypeVar("S")


class Lazily(Generic[S]):
    """One store."""

    def __init__(self, open_store: Callable[[], AbstractAsyncContextManager[S]]) -> None:
        self._open = open_store
        self._stack = AsyncExitStack()
        self._opened: S | None = None
        self._opening = asyncio.Lock()
        self._said = ""

    async def store(self) -> S:
        """The open store. Raises LedgerAway."""
        async with self._opening:
            if self._opened is None:
                try:
                    self._opened = await self._stack.enter_async_context(self._open())
                except (LedgerAway, LedgerUnusable) as error:
                    self._say(str(error))
                    raise LedgerAway(str(error)) from error
            return self._opened

    @asynccontextmanager
    async def until_closed(self) -> AsyncIterator[Self]:
        """Close the store at the end of the block."""
        async with self._stack:
            yield self

    def _say(self, why: str) -> None:
        if why != self._said:  # log once per outage
            log.warning("a store cannot be opened: what it holds is not shown until it can", error=why)
        self._said = why
