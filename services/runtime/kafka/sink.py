"""`KafkaSink`: publishes records over AIOKafkaProducer; idempotent, acks=all, zstd (rule 7)."""

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

import aiokafka
import structlog
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.record import default_records

from services.contracts.dead import DEAD_LETTER_HEADER
from services.core.errors import BrokerAway, Dead
from services.core.messages import OutgoingRecord
from services.runtime.kafka.client import DEAD_LETTER_ROOM, KafkaClient

log = structlog.get_logger(__name__)

BATCH_BYTES = 256 * 2**10
"""Uncompressed. Below every topic's limit, so that a batch is never refused for its size but for a single message."""

KEPT_S = 60.0
"""Longer than any back-off before a publish is retried."""

_Key = tuple[str, bytes, bytes, tuple[tuple[str, bytes], ...]]


class KafkaSink:
    """The port `Sink`. Connects at the first publish; `async with` closes it.

    The producer itself retries for ever, without repeats. So a publish that was abandoned here (BrokerAway, or
    cancelled) and is retried takes over the send that is still in flight, or has been confirmed since: an outage
    doesn't multiply records.
    """

    def __init__(self, client: KafkaClient, *, confirm_s: float = 30.0) -> None:
        """`confirm_s`: how long a publish waits for the broker before it raises BrokerAway, in seconds.

        Raises RuntimeError where aiokafka's compiled extension is missing: producing would be nine times slower.
        """
        if not default_records.DefaultRecordBatchBuilder.__module__.startswith("aiokafka.record._crecords"):
            raise RuntimeError("aiokafka runs without its compiled extension: install a wheel for this platform")
        self._client = client
        self._confirm_s = confirm_s
        self._producer: Any = None
        self._starting = asyncio.Lock()
        self._confirmations: set[asyncio.Task[None]] = set()
        self._left: dict[_Key, list[asyncio.Future[None]]] = {}

    async def publish(self, messages: Sequence[OutgoingRecord]) -> None:
        """As the port says. Raises Dead('defect') where a message is larger than the client's limit allows."""
        for message in messages:
            self._refuse_too_large(message)
        try:
            async with asyncio.timeout(self._confirm_s):
                await self._publish(messages)
        except TimeoutError as error:
            raise BrokerAway(f"Kafka has not confirmed within {self._confirm_s:g} s") from error
        except (KafkaError, OSError) as error:
            raise BrokerAway(f"Kafka: {type(error).__name__}: {error}") from error

    async def aclose(self) -> None:
        """Flush and disconnect, within `confirm_s` seconds."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stop(producer, self._confirm_s)
        if self._confirmations:
            await asyncio.wait(self._confirmations)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _publish(self, messages: Sequence[OutgoingRecord]) -> None:
        sent: list[asyncio.Future[None]] = []
        try:
            for message in messages:
                sent.append(await self._send(message))
            # Shielded: a caller that stops waiting doesn't stop the send.
            await asyncio.gather(*(asyncio.shield(future) for future in sent))
        except BaseException:
            for message, future in zip(messages, sent, strict=False):
                self._leave(_key(message), future)
            raise

    async def _send(self, message: OutgoingRecord) -> asyncio.Future[None]:
        """Give it to the producer, or take over the abandoned send of an equal record. The future ends as the send
        does."""
        if self._left and (left := self._left.get(_key(message))):
            return left.pop()
        producer = await self._started()
        headers = list(message.headers.items())
        confirmed = await producer.send(message.topic, value=message.value, key=message.key, headers=headers)
        task = asyncio.create_task(self._confirmation(producer, confirmed, message.topic))
        self._confirmations.add(task)
        task.add_done_callback(self._confirmations.discard)
        return task

    def _leave(self, key: _Key, future: asyncio.Future[None]) -> None:
        """Keep an abandoned send while it is in flight, and `KEPT_S` seconds beyond: a publish that was abandoned just
        before its confirmation is retried."""
        self._left.setdefault(key, []).append(future)
        future.add_done_callback(partial(self._left_send_ended, key))

    def _left_send_ended(self, key: _Key, future: asyncio.Future[None]) -> None:
        if future.cancelled() or future.exception() is not None:
            self._forget(key, future)
        else:
            asyncio.get_running_loop().call_later(KEPT_S, self._forget, key, future)

    def _forget(self, key: _Key, future: asyncio.Future[None]) -> None:
        left = self._left.get(key, [])
        if future in left:
            left.remove(future)
        if not left:
            self._left.pop(key, None)

    async def _confirmation(self, producer: Any, confirmed: asyncio.Future[Any], topic: str) -> None:
        try:
            await confirmed
        except KafkaError as error:
            # It has used up a sequence number that the broker never saw: all that follows would be refused.
            await self._give_up(producer, error)
            if isinstance(error, MessageSizeTooLargeError):
                raise Dead("defect", f"{topic} refuses a message for its size: raise its max.message.bytes") from error
            raise

    async def _started(self) -> Any:
        async with self._starting:
            if self._producer is not None and self._producer._sender.sender_task.done():
                await self._give_up(self._producer, None)
            if self._producer is None:
                self._producer = await self._start()
            return self._producer

    async def _start(self) -> Any:
        producer = aiokafka.AIOKafkaProducer(**self._arguments())
        try:
            await producer.start()
        except BaseException:
            await _stop(producer, 1.0)
            raise
        return producer

    async def _give_up(self, producer: Any, error: BaseException | None) -> None:
        """A producer that has failed for good never recovers: drop it, the next publish builds another."""
        if self._producer is producer:
            log.warning("producer dropped", error=type(error).__name__)
            self._producer = None
            await _stop(producer, 1.0)

    def _refuse_too_large(self, message: OutgoingRecord) -> None:
        limit = self._client.max_message_bytes + (DEAD_LETTER_ROOM if DEAD_LETTER_HEADER in message.headers else 0)
        size = len(message.key) + len(message.value) + sum(len(k) + len(v) for k, v in message.headers.items())
        if size > limit:
            raise Dead("defect", f"a message of {size} bytes for {message.topic}: at most {limit} are allowed")

    def _arguments(self) -> dict[str, Any]:
        return {
            **self._client.arguments(),
            "enable_idempotence": True,
            "acks": "all",
            "compression_type": "zstd",
            # Batches form while a request is in flight; lingering gains nothing. Measured, 64 publishes at once, ms of
            # CPU each with 0, 5, 20 ms: of 2 KB 0.11, 0.15, 0.13; of 20 KB 0.28, 0.25, 0.32; of 300 KB 3.2, 3.5, 3.2.
            "linger_ms": 0,
            "max_batch_size": BATCH_BYTES,
            # Our own check comes first; aiokafka's counts a frame of a few bytes more.
            "max_request_size": self._client.max_message_bytes + 2 * DEAD_LETTER_ROOM,
            # A broker that hangs is noticed within it; the idempotent producer then tries another without repeats.
            "request_timeout_ms": 15_000,
            "metadata_max_age_ms": 30_000,
        }


def _key(message: OutgoingRecord) -> _Key:
    return (message.topic, message.key, message.value, tuple(sorted(message.headers.items())))


async def _stop(producer: Any, within_s: float) -> None:
    """Flush and close; what the broker doesn't confirm in time is dropped, and is published again later."""
    with contextlib.suppress(TimeoutError, KafkaError, OSError):
        async with asyncio.timeout(within_s):
            await producer.stop()
            return
    with contextlib.suppress(TimeoutError, KafkaError, OSError):
        async with asyncio.timeout(1.0):
            await producer._sender.close()
    await producer.client.close()
    # A publish that still waits for its confirmation must fail.
    producer._message_accumulator.fail_all(KafkaError("the producer was closed"))
