"""Batches small requests to a store."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K")
R = TypeVar("R")


class Batches(Generic[K, R]):
    """Requests made in one turn of the event loop, or while a batch runs, are sent together in the next batch.

    So everything that one coroutine asks for at once is in one batch: one transaction.
    """

    def __init__(self, work: Callable[[Sequence[K]], Awaitable[Sequence[R]]]) -> None:
        self._work = work
        self._waiting: list[tuple[K, asyncio.Future[R]]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, key: K) -> R:
        """The work's result for this key. Raises what the work raised for its batch."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, future))
        if self._task is None:
            self._task = asyncio.create_task(self._flush())
        return await future

    async def settle(self) -> None:
        """Wait for the batch that runs."""
        if self._task is not None:
            await asyncio.wait((self._task,))

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                results = await self._work([key for key, _ in batch])
            except Exception as error:
                _fail(batch, error)
            else:
                for (_, future), result in zip(batch, results, strict=True):
                    if not future.done():
                        future.set_result(result)
        self._task = None


def _fail(batch: Sequence[tuple[K, asyncio.Future[R]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
