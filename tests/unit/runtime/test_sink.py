"""`KafkaSink` over a producer whose confirmations come when the test says."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from services.core.errors import BrokerAway
from services.core.messages import OutgoingRecord
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.sink import KafkaSink

MESSAGES = [OutgoingRecord("out", b"k", b"once", {}), *[OutgoingRecord("out", b"k", b"twice", {})] * 2]


class Producer:
    """Takes everything; confirms nothing by itself."""

    def __init__(self) -> None:
        self.sent: list[asyncio.Future[None]] = []
        self._sender = SimpleNamespace(sender_task=asyncio.get_running_loop().create_future())

    async def send(self, topic: str, **_: Any) -> asyncio.Future[None]:
        self.sent.append(asyncio.get_running_loop().create_future())
        return self.sent[-1]

    async def stop(self) -> None:
        return


@pytest.fixture
async def producer() -> Producer:
    return Producer()


@pytest.fixture
async def sink(producer: Producer, monkeypatch: pytest.MonkeyPatch) -> KafkaSink:
    async def started(_: KafkaSink) -> Producer:
        return producer

    monkeypatch.setattr(KafkaSink, "_start", started)
    sink = KafkaSink(KafkaClient(bootstrap="127.0.0.1:1"), confirm_s=0.05)
    with pytest.raises(BrokerAway, match="not confirmed"):
        await sink.publish(MESSAGES)
    return sink


async def test_a_send_confirmed_after_its_time_out_is_not_repeated(sink: KafkaSink, producer: Producer) -> None:
    for future in producer.sent:
        future.set_result(None)
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the confirmations have been seen, and nobody has come again yet
    await sink.publish(MESSAGES)
    assert len(producer.sent) == len(MESSAGES)


async def test_confirmed_messages_of_a_failed_batch_are_not_repeated(sink: KafkaSink, producer: Producer) -> None:
    producer.sent[0].set_result(None)
    with pytest.raises(BrokerAway):
        await sink.publish(MESSAGES)
    for future in producer.sent[1:]:
        future.set_result(None)
    await sink.publish(MESSAGES)
    assert len(producer.sent) == len(MESSAGES)


async def test_a_confirmed_send_is_taken_over_once(sink: KafkaSink, producer: Producer) -> None:
    """Who publishes the same on purpose, later, sends it."""
    for future in producer.sent:
        future.set_result(None)
    await sink.publish(MESSAGES)
    with pytest.raises(BrokerAway):
        await sink.publish(MESSAGES)
    assert len(producer.sent) == 2 * len(MESSAGES)


async def test_a_failed_send_is_repeated(sink: KafkaSink, producer: Producer) -> None:
    for future in producer.sent:
        future.set_exception(KafkaError("gone"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(BrokerAway):
        await sink.publish(MESSAGES)
    assert len(producer.sent) > len(MESSAGES)
