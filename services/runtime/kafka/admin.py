"""Topics are declared from data by an explicit step, never by accident (rule 8)."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic  # type: ignore[import-untyped]
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code  # type: ignore[import-untyped]

from services.core.errors import BrokerAway
from services.runtime.kafka.client import KafkaClient


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
    """Where a topic that exists is not as declared. It is left as it is: to change it is a decision."""

    topic: str
    what: str
    """`partitions`, `replication`, or the name of a setting."""
    declared: str
    found: str


class TopicRefused(Exception):
    """The cluster refused to create a topic: says which, and why."""


async def declare(client: KafkaClient, specs: Sequence[TopicSpec]) -> list[Difference]:
    """Create the topics that are missing; report how those that exist differ. Harmless to repeat, and from several
    processes at once. Raises BrokerAway, TopicRefused."""
    async with _admin(client) as admin:
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
    async with _admin(client) as admin:
        return await _describe(admin, names)


@asynccontextmanager
async def _admin(client: KafkaClient) -> AsyncIterator[Any]:
    admin = AIOKafkaAdminClient(**client.arguments())
    try:
        await admin.start()
        yield admin
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerAway(f"Kafka: {type(error).__name__}: {error}") from error
    finally:
        await admin.close()


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
