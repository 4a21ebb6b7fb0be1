"""Topics are created from data by an explicit step, never by accident (rule 8)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from services.contracts.topics import Topic, topics
from services.runtime.kafka.admin import connected
from services.runtime.kafka.client import DEAD_LETTER_ROOM, KafkaClient

_DAY_MS = 24 * 3600 * 1000

OFFSETS_RETENTION = "offsets.retention.minutes"

SPREAD = max(topic.partitions for topic in topics().values())
"""Partitions of the topics that carry questions, unless a deployment chooses another number at its first install."""


@dataclass(frozen=True, kw_only=True)
class TopicSpec:
    """A topic as it should be, or is."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str] = field(default_factory=dict)
    """Kafka's topic settings, such as retention.ms; those not named are the broker's."""


@dataclass(frozen=True)
class Difference:
    """Where an existing topic is not as declared. Existing topics are not altered; differences are reported."""

    topic: str
    what: str
    """`partitions`, `replication`, or the name of a setting."""
    declared: str
    found: str


class TopicRefused(Exception):
    """The cluster refused to create a topic: says which, and why."""


def specs(
    declared: Iterable[Topic], *, replication: int, max_message_bytes: int, partitions: int | None = None
) -> list[TopicSpec]:
    """The given topics with this many replicas. `partitions`, where given, is the number for the topics that carry
    questions; a topic that is declared with fewer (dead letters, tables) keeps its own number, if that is lower."""
    return [_spec(topic, replication, max_message_bytes, partitions) for topic in declared]


async def declare(client: KafkaClient, specs: Sequence[TopicSpec]) -> list[Difference]:
    """Create the topics that are missing; report how those that exist differ. Harmless to repeat, and from several
    processes at once. Raises BrokerAway, TopicRefused."""
    async with connected(client) as admin:
        existing = await _describe(admin, [spec.name for spec in specs])
        missing = [spec for spec in specs if spec.name not in existing]
        if missing:
            await _create(admin, missing)
        return [
            difference
            for spec in specs
            if spec.name in existing
            for difference in _differences(spec, existing[spec.name])
        ]


async def describe(client: KafkaClient, names: Collection[str]) -> dict[str, TopicSpec]:
    """The topics of these names that exist, with all their settings. Raises BrokerAway."""
    async with connected(client) as admin:
        return await _describe(admin, names)


async def offsets_expire(client: KafkaClient, specs: Sequence[TopicSpec]) -> list[Difference]:
    """The topics whose messages outlive the offsets of a group without members: after a longer pause such a group
    would read them all again. Raises BrokerAway."""
    async with connected(client) as admin:
        minutes = await _offsets_retention_minutes(admin)
    kept_ms = {spec.name: int(spec.config.get("retention.ms", 0)) for spec in specs}
    return [
        Difference(name, OFFSETS_RETENTION, str(kept // 60_000), str(minutes))
        for name, kept in kept_ms.items()
        if kept > minutes * 60_000
    ]


async def _offsets_retention_minutes(admin: Any) -> int:
    """The brokers' setting; the lowest where they differ."""
    brokers = [broker["node_id"] for broker in (await admin.describe_cluster())["brokers"]]
    resources = [ConfigResource(ConfigResourceType.BROKER, str(node), {OFFSETS_RETENTION: None}) for node in brokers]
    entries = [
        entry
        for response in await admin.describe_configs(resources)
        for *_, found in response.resources
        for entry in found
    ]
    return min(int(value) for key, value, *_ in entries if key == OFFSETS_RETENTION)


async def _create(admin: Any, specs: Sequence[TopicSpec]) -> None:
    response = await admin.create_topics(
        [NewTopic(spec.name, spec.partitions, spec.replication, topic_configs=dict(spec.config)) for spec in specs]
    )
    for name, code, *message in response.topic_errors:
        if code and not isinstance(error := for_code(code)(), TopicAlreadyExistsError):
            raise TopicRefused(f"{name}: {type(error).__name__}: {message[0] if message else ''}")


async def _describe(admin: Any, names: Collection[str]) -> dict[str, TopicSpec]:
    found = [topic for topic in await admin.describe_topics() if topic["topic"] in names and not topic["error_code"]]
    if not found:
        return {}
    configs = await _configs(admin, [topic["topic"] for topic in found])
    return {
        topic["topic"]: TopicSpec(
            name=topic["topic"],
            partitions=len(topic["partitions"]),
            replication=min((len(partition["replicas"]) for partition in topic["partitions"]), default=0),
            config=configs[topic["topic"]],
        )
        for topic in found
    }


async def _configs(admin: Any, names: Sequence[str]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    configs = {}
    for response in await admin.describe_configs(resources):
        for code, message, _, name, entries in response.resources:
            if code:
                raise TopicRefused(f"{name}: can't read its settings: {message}")
            configs[name] = {key: value for key, value, *_ in entries if value is not None}
    return configs


def _differences(declared: TopicSpec, found: TopicSpec) -> list[Difference]:
    pairs = [
        ("partitions", str(declared.partitions), str(found.partitions)),
        ("replication", str(declared.replication), str(found.replication)),
        *((key, value, found.config.get(key, "")) for key, value in declared.config.items()),
    ]
    return [Difference(declared.name, what, one, other) for what, one, other in pairs if one != other]


def _spec(topic: Topic, replication: int, max_message_bytes: int, partitions: int | None) -> TopicSpec:
    spread = topic.partitions == SPREAD
    return TopicSpec(
        name=topic.name,
        partitions=partitions if spread and partitions is not None else min(partitions or SPREAD, topic.partitions),
        replication=replication,
        config={
            **_kept(topic),
            # Two of three replicas have each message that is confirmed: one broker may be lost (rule 8).
            "min.insync.replicas": "2" if replication > 2 else "1",
            "max.message.bytes": str(max_message_bytes + _room(topic)),
        },
    )


def _kept(topic: Topic) -> dict[str, str]:
    if topic.retention_days is None:
        return {"cleanup.policy": "compact"}
    return {"cleanup.policy": "delete", "retention.ms": str(topic.retention_days * _DAY_MS)}


def _room(topic: Topic) -> int:
    """For a dead letter's reason, and for what a record batch adds to its one record."""
    return DEAD_LETTER_ROOM * (2 if topic.message == "dead_letter" else 1)
