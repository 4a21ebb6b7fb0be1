"""`RecordProcessor`: one message from delivery to its end: an output, a dead letter, or no acknowledgement (rule 3)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from services.contracts.codec import encode
from services.contracts.dead import DEAD_LETTER_HEADER, DeadKind, DeadLetter
from services.core.errors import Away, BudgetSpent, Dead, Draining
from services.core.holds import Holds
from services.core.ledger.ports import Attempts
from services.core.messages import ConsumedRecord, OutgoingRecord, Sink
from services.runtime.engine import spans
from services.runtime.engine.gate import Gate
from services.runtime.engine.limits import Limits
from services.runtime.engine.retry import RetryPolicy
from services.runtime.engine.stats import EngineStats

log = structlog.get_logger(__name__)

T = TypeVar("T")

Handle = Callable[[ConsumedRecord], Awaitable[Sequence[OutgoingRecord]]]
"""What a stage does with a message. May raise Dead (dead-letter it), Away (hold it and try again), Draining (leave it
if the process drains, as Away if not); anything else is a defect, and is tried again a few times."""

Finish = Callable[[DeadKind | None], None]
"""Told once the broker has confirmed the message's end: its outputs, or a dead letter of that kind."""

_ERROR_CHARACTERS = 300
"""Of an unexpected exception's text: enough to find it, too little for a payload."""


@dataclass(frozen=True, kw_only=True)
class RecordProcessor:
    """Carries messages of one service; many at once."""

    service: str
    owner: str
    handle: Handle
    sink: Sink
    attempts: Attempts
    holds: Holds
    dead_topic: str
    limits: Limits
    stats: EngineStats
    gate: Gate
    patience: RetryPolicy

    async def carry(self, message: ConsumedRecord, finish: Finish) -> None:
        """Return when the message has ended. Raises Draining or CancelledError where it has not: its attempt is closed
        then, and nothing more of it is published."""
        self.stats.begun_written_ms = message.timestamp_ms
        with spans.processing(message, group=self.service):
            await self._carry(message, finish)

    async def _carry(self, message: ConsumedRecord, finish: Finish) -> None:
        async with self.gate.together():
            others = await self._open(message)
            if others < self.limits.killed:
                await self._through(message, others, finish)
                return
            await self._close(message)  # While it waits for its turn, another's death is not its own.
        log.warning("a message that may have killed its processes runs alone", what=_name(message), left_open=others)
        async with self.gate.alone():
            await self._through(message, await self._open(message), finish)

    async def _through(self, message: ConsumedRecord, others: int, finish: Finish) -> None:
        try:
            kind = await self._end(message, others)
            finish(kind)
            if kind == "killer":
                # Not yet committed: whoever reads it again must find what condemned it, or it would live after all.
                await self._close(message)
            else:
                await self._ledger(message, lambda: self.attempts.forget_attempts(self.service, message.position))
        except (asyncio.CancelledError, Draining):
            await self._let_go(message)
            raise

    async def _end(self, message: ConsumedRecord, others: int) -> DeadKind | None:
        """Publish the outputs, or else a dead letter, of which the kind is returned. Both are confirmed."""
        try:
            if others > self.limits.killed:
                raise Dead("killer", _killer(others))
            await self._tries(message)
        except Dead as dead:
            spans.failed(dead.kind)
            await self._dead_letter(message, dead, attempts=others + 1)
            return dead.kind
        return None

    async def _tries(self, message: ConsumedRecord) -> None:
        for left in reversed(range(self.limits.tries)):
            try:
                await self._once(message)
                return
            except (Dead, Draining):
                raise
            except (Exception, asyncio.CancelledError) as error:
                if _is_cancelled(error):
                    raise
                log.error("handler raised", what=_name(message), error=type(error).__name__, tries_left=left)
                if not left:
                    text = f"{type(error).__name__}: {str(error)[:_ERROR_CHARACTERS]}"
                    raise Dead("defect", text) from error
            self.stats.retried += 1
            await asyncio.sleep(self.limits.retry_s)

    async def _once(self, message: ConsumedRecord) -> None:
        outgoing = spans.stamped(await self.patience.retry_while_away(_name(message), lambda: self._handled(message)))
        if outgoing:
            await self.patience.retry_while_away(_name(message), lambda: self._publish(message, outgoing))

    async def _handled(self, message: ConsumedRecord) -> Sequence[OutgoingRecord]:
        try:
            return await self.handle(message)
        except BudgetSpent as spent:
            if self.stats.draining:  # it may wait for days: whoever takes the partition waits on
                raise Draining(str(spent)) from spent
            raise
        except Draining as refused:
            if self.stats.draining:
                raise
            # Left now, its offset would stay under way until somebody takes the partition.
            raise Away(f"the handler refuses, as if the process drained, which it does not: {refused}") from refused

    async def _publish(self, message: ConsumedRecord, outgoing: Sequence[OutgoingRecord]) -> None:
        with self.holds.hold(_name(message), "publishing", for_s=self.limits.publish_s):
            await self.sink.publish(outgoing)

    async def _dead_letter(self, message: ConsumedRecord, dead: Dead, *, attempts: int) -> None:
        # A defect's text may hold some of the payload: it goes into the header, not into the log.
        log.error("dead letter", what=_name(message), kind=dead.kind, why=dead.error if dead.kind != "defect" else None)
        letter = self._letter(message, dead, attempts)

        async def publish() -> None:
            try:
                await self._publish(message, [letter])
            except Dead as refused:  # There is no other place for it: the message stays where it is.
                raise Away(f"its dead letter is refused, give {self.dead_topic} a larger limit: {refused}") from refused

        await self.patience.retry_while_away(_name(message), publish)

    def _letter(self, message: ConsumedRecord, dead: Dead, attempts: int) -> OutgoingRecord:
        reason = DeadLetter(
            service=self.service,
            kind=dead.kind,
            error=dead.error[:4_000],
            attempts=attempts,
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
        )
        return OutgoingRecord(
            topic=self.dead_topic,
            key=message.key or b"",
            value=message.value or b"",
            headers={**message.headers, DEAD_LETTER_HEADER: encode(reason)},
        )

    async def _open(self, message: ConsumedRecord) -> int:
        try:
            return await self._ledger(
                message, lambda: self.attempts.open_attempt(self.service, message.position, owner=self.owner)
            )
        except asyncio.CancelledError:
            await self._let_go(message)  # It may have been opened.
            raise

    async def _close(self, message: ConsumedRecord) -> None:
        await self._ledger(
            message, lambda: self.attempts.close_attempt(self.service, message.position, owner=self.owner)
        )

    async def _let_go(self, message: ConsumedRecord) -> None:
        """Close the attempt of a message that was given up in order, within bounded time. A ledger that is away then
        keeps it open: it counts once against the message."""
        try:
            async with asyncio.timeout(self.limits.let_go_s):
                await self._close(message)
        except TimeoutError:
            log.warning("attempt left open: the ledger is away", what=_name(message))

    async def _ledger(self, message: ConsumedRecord, action: Callable[[], Awaitable[T]]) -> T:
        return await self.patience.retry_while_away(_name(message), action)


def _is_cancelled(error: BaseException) -> bool:
    """Whether the message's task is being cancelled. A CancelledError out of the handler's own doings is a defect like
    any other: let through, it would end the task and leave its offset under way for ever."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _killer(attempts: int) -> str:
    return (
        f"{attempts} attempts at it were left open by processes that ended without closing them (a crash, out of "
        "memory and kill -9 all count), the last while it ran alone: look in their logs, and the kernel's, for how "
        "they ended; mend that, or give the process more memory, then redrive"
    )


def _name(message: ConsumedRecord) -> str:
    return f"{message.topic}/{message.partition}/{message.offset}"
