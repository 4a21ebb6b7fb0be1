"""A call on its way in this process."""

import asyncio
from typing import Any

from services.core.ledger.calls import Outcome, Request


class GivenUp(Exception):
    """A wait ended early: nobody wants the call any more, or the process is going."""


class Running:
    """A call of this process, and how many wait for it. Its task belongs to the dispatcher, not to who asked."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.call_id = request.call_id
        self.waiters = 0
        self.failures = 0
        """Sends that went wrong and may go well the next time."""
        self.ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._awaited: asyncio.Future[Any] | None = None

    async def wait(self, future: asyncio.Future[Any], timeout: float | None = None) -> bool:
        """Wait for a future, at a point where the call can be given up. True once it is done; False when so many
        seconds have passed. Raises GivenUp."""
        self._awaited = future
        try:
            await asyncio.wait((future,), timeout=timeout)
        finally:
            self._awaited = None
        if future.cancelled():
            raise GivenUp
        return future.done()

    async def sleep_until(self, when: float) -> None:
        """Wait until the event loop's clock says so. Raises GivenUp."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        timer = loop.call_at(when, _wake, future)
        try:
            await self.wait(future)
        finally:
            timer.cancel()

    def give_up(self) -> None:
        """End the wait that the call is in, if it is in one that may be ended."""
        if self._awaited is not None:
            self._awaited.cancel()

    def join(self) -> None:
        """One more waits for the call."""
        self.waiters += 1

    def leave(self) -> None:
        """One fewer waits; without any, the call is given up unless it is under way."""
        self.waiters -= 1
        if self.waiters == 0:
            self.give_up()

    def succeed(self, outcome: Outcome) -> None:
        """Tell everyone."""
        self.ended.set_result(outcome)

    def fail(self, error: BaseException) -> None:
        """Tell everyone, if there is anyone."""
        self.ended.set_exception(error)
        self.ended.exception()  # with nobody waiting, it counts as seen


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
