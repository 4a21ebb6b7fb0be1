"""How records go to their handler: many at once, or one alone (rule 12)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """A record that may crash its process runs alone: it waits for those inside to leave, and others wait for it."""

    def __init__(self) -> None:
        self._inside = 0
        self._alone = 0
        self._open = asyncio.Event()
        self._open.set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._turn = asyncio.Lock()

    @property
    def someone_alone(self) -> bool:
        """Whether a record is alone, or waits to be: nothing new is taken."""
        return self._alone > 0

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """Inside with others; waits while one is alone."""
        while self._alone:
            await self._open.wait()
        self._inside += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Inside alone; waits for those inside, and for others that run alone."""
        self._alone += 1
        self._open.clear()
        try:
            async with self._turn:
                await self._empty.wait()
                yield
        finally:
            self._alone -= 1
            if not self._alone:
                self._open.set()
