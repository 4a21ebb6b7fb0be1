"""The topics of proto/topics.yaml as a cluster is to have them."""

from collections.abc import Iterable

from services.contracts.topics import Topic
from services.runtime.kafka.admin import TopicSpec
from services.runtime.kafka.client import DEAD_LETTER_ROOM

_DAY_MS = 24 * 3600 * 1000


def specs(
    topics: Iterable[Topic], *, replication: int, max_message_bytes: int, partitions: int | None = None
) -> list[TopicSpec]:
    """The given topics with this many replicas; `partitions`, where given, is the most that any of them gets."""
    return [_spec(topic, replication, max_message_bytes, partitions) for topic in topics]


def _spec(topic: Topic, replication: int, max_message_bytes: int, most: int | None) -> TopicSpec:
    return TopicSpec(
        name=topic.name,
        partitions=topic.partitions if most is None else min(most, topic.partitions),
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
    """Dead letters' reason; and everywhere what a record batch adds to its one message."""
    return DEAD_LETTER_ROOM * (2 if topic.message == "dead_letter" else 1)
