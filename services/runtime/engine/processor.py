"""`RecordProcessor`: processes a record from its delivery to its end (rule 3)."""

from dataclasses import dataclass

import structlog

from services.core.errors import Draining
from services.core.messages import ConsumedRecord
from services.runtime.engine import spans
from services.runtime.engine.attempt import AttemptLog
from services.runtime.engine.circuit import Circuit
from services.runtime.engine.commit_rule import Window
from services.runtime.engine.counters import Counters
from services.runtime.engine.handler import Handler
from services.runtime.engine.publisher import Outcome, Publisher

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Delivery:
    """A record that has been read, the window its offset is in, and whether it probes an open circuit."""

    record: ConsumedRecord
    window: Window
    probe: bool = False


@dataclass(kw_only=True)
class RecordProcessor:
    """Processes records of one service, many at once. Every record ends in its outputs, a dead letter, or no commit."""

    service: str
    attempts: AttemptLog
    handler: Handler
    publisher: Publisher
    circuit: Circuit
    counters: Counters
    begun_written_ms: int = 0
    """When the record that was begun last had been written, in Unix time; 0 before the first."""

    async def process(self, delivery: Delivery) -> None:
        """Open an attempt, handle, publish, close. Returns when the record has ended, or is left for another worker
        because the process drains: then its offset stays uncommitted. The same if it is cancelled."""
        record = delivery.record
        self.begun_written_ms = record.timestamp_ms
        try:
            with spans.processing(record, group=self.service):
                async with self.attempts.open(record) as crashes:
                    outcome = await self._end(record, crashes)
                    self._finish(delivery, outcome)
                    await self.attempts.close(record, outcome)
        except Draining:
            log.info("left for another worker", topic=record.topic, offset=record.offset)

    async def _end(self, record: ConsumedRecord, crashes: int) -> Outcome:
        condemned = await self.attempts.condemned(record, crashes)
        if condemned is not None:
            dead, attempts = condemned
            return await self.publisher.publish(record, dead, attempts=attempts)
        handled = await self.handler.handle(record, crashes)
        attempts = crashes + 1
        return await self.publisher.publish(
            record, handled, attempts=attempts, on_dead=lambda dead: self.attempts.condemn(record, dead, attempts)
        )

    def _finish(self, delivery: Delivery, outcome: Outcome) -> None:
        """The broker has confirmed the record's end: its offset may be committed. Nothing commits the window of a
        revoked partition."""
        delivery.window.finish(delivery.record.offset)
        self.counters.finished += 1
        if outcome.dead is not None:
            self.counters.dead[outcome.dead.kind] += 1
            if outcome.dead.trips_circuit:
                self.circuit.dead()
        else:
            self.circuit.succeeded(probe=delivery.probe)
