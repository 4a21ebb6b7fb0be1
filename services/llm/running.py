"""A call of this process, from the first request for it to its outcome."""

import asyncio
from typing import Any

from services.contracts.topics import Lane
from services.core.ledger.calls import Outcome, Request


class GivenUp(Exception):
    """A wait ended early: the call has no waiters left, or the process drains."""


class Running:
    """A call and the number of its waiters. Its task belongs to the dispatcher, not to its callers."""

    def __init__(self, request: Request, *, lane: Lane = "live", is_draining: bool = False) -> None:
        self.request = request
        self.lane = lane
        self.call_id = request.call_id
        self.waiters = 0
        self.is_draining = is_draining
        """Whether the process drains, and starts no new calls."""
        self.sends = 0
        self.refusals = 0
        """Sends to servers that were full."""
        self.mishaps = 0
        """Failed sends by cause, without those to a busy server."""
        self.failures = 0
        """Failed sends whose cause is the call itself."""
        self.ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._awaited: asyncio.Future[Any] | None = None

    async def wait(self, future: asyncio.Future[Any], timeout: float | None = None) -> bool:
        """Wait for a future, at a point where the call can be dropped. Returns True when it is done, False after
        `timeout` seconds. Raises GivenUp."""
        self._awaited = future
        try:
            await asyncio.wait((future,), timeout=timeout)
        finally:
            self._awaited = None
        if future.cancelled():
            raise GivenUp
        return future.done()

    async def sleep_until(self, when: float) -> None:
        """Wait until this time of the event loop's clock. Raises GivenUp."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        timer = loop.call_at(when, _wake, future)
        try:
            await self.wait(future)
        finally:
            timer.cancel()

    def check(self) -> None:
        """Raises GivenUp if the call has no waiters left, or the process drains."""
        if self.is_draining or self.waiters == 0:
            raise GivenUp

    def drain(self) -> None:
        """The process drains: end the call unless it is in flight."""
        self.is_draining = True
        self.give_up()

    def give_up(self) -> None:
        """End the call's current wait, if it is interruptible."""
        if self._awaited is not None:
            self._awaited.cancel()

    def join(self) -> None:
        """Add a waiter."""
        self.waiters += 1

    def leave(self) -> None:
        """Remove a waiter. Without waiters the call is dropped unless it is in flight."""
        self.waiters -= 1
        if self.waiters == 0:
            self.give_up()

    def succeed(self, outcome: Outcome) -> None:
        """Return the outcome to all waiters."""
        self.ended.set_result(outcome)

    def fail(self, error: BaseException) -> None:
        """Raise the error in all waiters."""
        self.ended.set_exception(error)
        self.ended.exception()  # without waiters: mark the exception as retrieved


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
