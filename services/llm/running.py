"""A call of this process, from the first request for it to its outcome."""

import asyncio
from typing import Any

from services.core.ledger.calls import Outcome, Request


class GivenUp(Exception):
    """A wait ended early: nobody waits for the call any more, or the process drains."""


class Running:
    """A call and how many wait for it. Its task belongs to the dispatcher, not to its callers."""

    def __init__(self, request: Request, *, is_draining: bool = False) -> None:
        self.request = request
        self.call_id = request.call_id
        self.waiters = 0
        self.is_draining = is_draining
        """Whether the process starts no call any more."""
        self.sends = 0
        self.refusals = 0
        """Sends to servers that were full."""
        self.mishaps = 0
        """Sends that failed, by whose trouble it was; those to a busy server don't count."""
        self.failures = 0
        """Sends that failed by the call's own trouble."""
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

    def check(self) -> None:
        """Raises GivenUp where nobody waits for the call any more, or the process drains."""
        if self.is_draining or self.waiters == 0:
            raise GivenUp

    def drain(self) -> None:
        """The process starts no call any more: this one ends unless it is in flight."""
        self.is_draining = True
        self.give_up()

    def give_up(self) -> None:
        """End the wait that the call is in, if it is in one that may be ended."""
        if self._awaited is not None:
            self._awaited.cancel()

    def join(self) -> None:
        """One more waits for the call."""
        self.waiters += 1

    def leave(self) -> None:
        """One fewer waits; without any, the call is given up unless it is in flight."""
        self.waiters -= 1
        if self.waiters == 0:
            self.give_up()

    def succeed(self, outcome: Outcome) -> None:
        """Give the outcome to everyone who waits."""
        self.ended.set_result(outcome)

    def fail(self, error: BaseException) -> None:
        """Raise it in everyone who waits, if anyone does."""
        self.ended.set_exception(error)
        self.ended.exception()  # with nobody waiting, it counts as seen


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
