"""The publishing step: outputs or a dead letter, confirmed by the broker (rule 3)."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from services.contracts.codec import encode
from services.contracts.dead import DEAD_LETTER_HEADER, DeadLetter
from services.core.errors import Away, Dead
from services.core.holds import Holds
from services.core.messages import ConsumedRecord, OutgoingRecord, Sink
from services.runtime.engine import spans
from services.runtime.engine.handler import Handled, defect
from services.runtime.engine.limits import Limits
from services.runtime.engine.retry import RetryPolicy

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Outcome:
    """How a record has ended: `dead` is why it has a dead letter; None where its outputs are published."""

    dead: Dead | None = None


class Publisher:
    """Publishes for one service."""

    def __init__(
        self, service: str, *, sink: Sink, dead_topic: str, holds: Holds, retry: RetryPolicy, limits: Limits
    ) -> None:
        self._service = service
        self._sink = sink
        self._dead_topic = dead_topic
        self._holds = holds
        self._retry = retry
        self._limits = limits

    async def publish(
        self,
        record: ConsumedRecord,
        handled: Handled,
        *,
        attempts: int,
        on_dead: Callable[[Dead], Awaitable[None]] | None = None,
    ) -> Outcome:
        """Return once the broker has confirmed the outputs, or else a dead letter. `attempts`: at the record, this one
        included. `on_dead` is awaited before a dead letter is published. Waits while the broker is away."""
        dead = handled if isinstance(handled, Dead) else await self._outputs(record, handled)
        if dead is not None:
            spans.failed(dead.kind)
            if on_dead is not None:
                await on_dead(dead)
            await self._dead_letter(record, dead, attempts)
        return Outcome(dead)

    async def _outputs(self, record: ConsumedRecord, outputs: Sequence[OutgoingRecord]) -> Dead | None:
        if not outputs:
            return None
        try:
            await self._retry.retry_while_away(str(record.position), lambda: self._send(record, outputs))
        except Dead as refused:
            return refused
        except Exception as error:
            log.error("outputs can't be published", what=str(record.position), error=type(error).__name__)
            return defect(error)
        return None

    async def _dead_letter(self, record: ConsumedRecord, dead: Dead, attempts: int) -> None:
        # A defect's text may hold some of the payload: it goes into the header, not into the log.
        why = dead.error if dead.kind != "defect" else None
        log.error("dead letter", what=str(record.position), kind=dead.kind, why=why)
        letter = self._letter(record, dead, attempts)

        async def send() -> None:
            try:
                await self._send(record, [letter])
            except Dead as refused:  # A dead letter has no fallback: the record stays uncommitted.
                raise Away(
                    f"its dead letter is refused, give {self._dead_topic} a larger limit: {refused}"
                ) from refused

        await self._retry.retry_while_away(str(record.position), send)

    async def _send(self, record: ConsumedRecord, outgoing: Sequence[OutgoingRecord]) -> None:
        with self._holds.hold(str(record.position), "publishing", for_s=self._limits.publish_s):
            await self._sink.publish(outgoing)

    def _letter(self, record: ConsumedRecord, dead: Dead, attempts: int) -> OutgoingRecord:
        reason = DeadLetter(
            service=self._service,
            kind=dead.kind,
            error=dead.error[:4_000],
            attempts=attempts,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
        )
        return OutgoingRecord(
            topic=self._dead_topic,
            key=record.key or b"",
            value=record.value or b"",
            headers={**record.headers, DEAD_LETTER_HEADER: encode(reason)},
        )
