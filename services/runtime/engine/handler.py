"""The handling step: calls the handler, and translates what it raises (rule 3)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from services.core.errors import Away, BudgetSpent, Dead, Draining
from services.core.messages import ConsumedRecord, OutgoingRecord
from services.runtime.engine import spans
from services.runtime.engine.counters import Counters
from services.runtime.engine.limits import Limits
from services.runtime.engine.retry import RetryPolicy

log = structlog.get_logger(__name__)

Handle = Callable[[ConsumedRecord], Awaitable[Sequence[OutgoingRecord]]]
"""What a service does with a record. May raise Dead (dead-letter it), Away (hold it and try again), Draining (leave it
if the process drains, as Away if not). Any other exception is a defect: it is retried a few times."""

Handled = Sequence[OutgoingRecord] | Dead
"""The handler's outputs, or why there are none."""

_ERROR_CHARACTERS = 300
"""Characters of an unexpected exception's text that are kept: enough to find it, too few for a payload."""


class Handler:
    """Calls a service's `Handle`."""

    def __init__(
        self, handle: Handle, *, draining: asyncio.Event, retry: RetryPolicy, limits: Limits, counters: Counters
    ) -> None:
        self._handle = handle
        self._draining = draining
        self._retry = retry
        self._limits = limits
        self._counters = counters

    async def handle(self, record: ConsumedRecord, crashes: int) -> Handled:
        """The outputs, or why the record is dead. `crashes`: attempts at it that other processes left open. Waits while
        a dependency is away. Raises Draining and CancelledError only."""
        if crashes > self._limits.crashes:
            return Dead("killer", _crash_loop(crashes))
        for left in reversed(range(self._limits.tries)):
            try:
                outputs = await self._retry.retry_while_away(str(record.position), lambda: self._once(record))
                return spans.stamped(outputs)
            except Dead as dead:
                return dead
            except Draining:
                raise
            except (Exception, asyncio.CancelledError) as error:
                if is_cancelled(error):
                    raise
                log.error("handler raised", what=str(record.position), error=type(error).__name__, tries_left=left)
                if not left:
                    return defect(error)
            self._counters.retried += 1
            await asyncio.sleep(self._limits.retry_s)
        raise AssertionError("Limits.tries is at least 1")

    async def _once(self, record: ConsumedRecord) -> Sequence[OutgoingRecord]:
        try:
            return await self._handle(record)
        except BudgetSpent as spent:
            if self._draining.is_set():  # It may wait for days: the partition's next owner waits on.
                raise Draining(str(spent)) from spent
            raise
        except Draining as refused:
            if self._draining.is_set():
                raise
            # Left now, its offset would stay in flight until the partition is revoked.
            raise Away(f"the handler refuses as if the process drained, which it does not: {refused}") from refused


def defect(error: BaseException) -> Dead:
    """The dead letter's reason for an unexpected exception."""
    return Dead("defect", f"{type(error).__name__}: {str(error)[:_ERROR_CHARACTERS]}")


def is_cancelled(error: BaseException) -> bool:
    """Whether the record's task is being cancelled. A CancelledError that a handler made itself is a defect like any
    other: let through, it would end the task and leave its offset in flight for ever."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _crash_loop(crashes: int) -> str:
    return (
        f"{crashes} attempts at it were left open by processes that ended without closing them (a crash, out of "
        "memory and kill -9 all count), the last while it ran alone: look in their logs, and the kernel's, for how "
        "they ended; mend that, or give the process more memory, then redrive"
    )
