"""How far every group is, asked again and again on connections that stay open."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiokafka  # type: ignore[import-untyped]
from aiokafka.admin import AIOKafkaAdminClient  # type: ignore[import-untyped]

from services.contracts.topics import topics
from services.runtime.engine.source import TopicPartition
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.cluster import _away, lag


@dataclass(frozen=True)
class Lags:
    """Messages of each topic: those that it holds, and those that each of its groups has not committed."""

    messages: Mapping[str, int]
    lag: Mapping[str, Mapping[str, int]]


def readers() -> dict[str, list[str]]:
    """The services' groups that read each topic that isn't compacted; the monitor's reads all but its dead letters."""
    known = {
        name: [topic.group or reader for reader in topic.read_by if reader not in ("taps", "command-line")]
        for name, topic in topics().items()
        if not topic.compacted
    }
    return {name: groups + (["monitor"] if name != "monitor-dead" else []) for name, groups in known.items()}


class LagWatch:
    """Asks one cluster. Connects at the first look, and anew after trouble."""

    def __init__(self, client: KafkaClient) -> None:
        self._client = client
        self._open: list[Any] = []

    async def look(self) -> Lags:
        """As of now. Raises BrokerAway."""
        try:
            async with _away(self._client):
                return await self._look()
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Disconnect. Harmless where nothing is open."""
        consumer, admin = self._open or (None, None)
        self._open = []
        if consumer is not None:
            await consumer.stop()
        if admin is not None:
            await admin.close()

    async def _look(self) -> Lags:
        if not self._open:
            arguments = self._client.arguments()
            self._open = [aiokafka.AIOKafkaConsumer(**arguments), AIOKafkaAdminClient(**arguments)]
            for each in self._open:
                await each.start()
        consumer, admin = self._open
        groups_of = readers()
        holds = await _holds(consumer, list(groups_of))
        groups = sorted({group for groups in groups_of.values() for group in groups})
        done = {group: await _done(admin, group) for group in groups}
        return Lags(
            messages={name: sum(len(held) for key, held in holds.items() if key.topic == name) for name in groups_of},
            lag={
                name: {group: lag(holds, done[group], name) for group in groups} for name, groups in groups_of.items()
            },
        )


async def _holds(consumer: Any, names: Sequence[str]) -> dict[TopicPartition, range]:
    metadata = await consumer._client.fetch_all_metadata()
    keys = [
        aiokafka.TopicPartition(name, number) for name in names for number in metadata.partitions_for_topic(name) or ()
    ]
    if not keys:
        return {}
    begins, ends = await consumer.beginning_offsets(keys), await consumer.end_offsets(keys)
    return {TopicPartition(*key): range(begins[key], ends[key]) for key in keys}


async def _done(admin: Any, group: str) -> dict[TopicPartition, int]:
    found = await admin.list_consumer_group_offsets(group)
    return {TopicPartition(*key): value.offset for key, value in found.items() if value.offset >= 0}
