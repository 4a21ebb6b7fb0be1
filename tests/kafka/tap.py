"""Waiting for what a stream does: its messages, and what tells of no change by itself."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import aiokafka
import httpx

from services.contracts.topics import topics
from services.core.messages import ConsumedRecord
from services.local.audit.topic_counts import Topics
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.records import consumed

ASK_S = 0.05
"""Between two looks at what tells of no change by itself: a log, a health page."""

PARTITIONS = 4


class Tap:
    """Every message of every topic, as they come."""

    def __init__(self) -> None:
        self.seen = Topics()
        self.messages: defaultdict[str, list[ConsumedRecord]] = defaultdict(list)
        self._news = asyncio.Condition()

    async def follow(self, client: KafkaClient, ready: asyncio.Event) -> None:
        consumer = aiokafka.AIOKafkaConsumer(**client.arguments(), auto_offset_reset="earliest")
        await consumer.start()
        try:
            consumer.assign(
                [aiokafka.TopicPartition(topic, number) for topic in topics() for number in range(PARTITIONS)]
            )
            ready.set()
            while True:
                batches = await consumer.getmany(timeout_ms=500)
                async with self._news:
                    for batch in batches.values():
                        for record in batch:
                            self._take(consumed(record))
                    self._news.notify_all()
        finally:
            await consumer.stop()

    async def until(self, holds: Callable[[], bool], what: Callable[[], object], *, within_s: float = 60.0) -> None:
        try:
            async with asyncio.timeout(within_s), self._news:
                await self._news.wait_for(holds)
        except TimeoutError:
            raise AssertionError(f"not within {within_s:g} s: {what()}") from None

    def values(self, topic: str, case_id: str | None = None) -> list[bytes]:
        key = case_id.encode() if case_id else None
        return [message.value or b"" for message in self.messages[topic] if key in (None, message.key)]

    def _take(self, message: ConsumedRecord) -> None:
        self.seen.take(message)
        self.messages[message.topic].append(message)


def http(base_url: str = "") -> httpx.AsyncClient:
    """For addresses of this machine. Reads no authorities' certificates: for each client that is 40 ms of CPU, and
    those who ask every 50 ms would take a core from the processes that they wait for."""
    return httpx.AsyncClient(base_url=base_url, trust_env=False, verify=False)


async def ask_until(ask: Callable[[], Any], holds: Callable[[Any], bool], *, within_s: float = 60.0) -> Any:
    """Ask until it holds: another process has no event to await."""
    answer = None
    try:
        async with asyncio.timeout(within_s):
            while not holds(answer := await ask()):  # noqa: ASYNC110
                await asyncio.sleep(ASK_S)
    except TimeoutError:
        raise AssertionError(f"not within {within_s:g} s; the last answer: {answer}") from None
    return answer
