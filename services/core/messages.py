"""Records of Kafka topics as handlers see them, and the port that publishes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from services.contracts.base import Message


class TopicPartition(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


@dataclass(frozen=True)
class Position:
    """The position of a record in Kafka. As text: topic/partition/offset."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True)
class ConsumedRecord:
    """A message as read from Kafka."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]
    timestamp_ms: int = field(default=0, compare=False)
    """When it was written, in Unix time. For display only: no output may depend on it."""

    @property
    def position(self) -> Position:
        """Topic, partition and offset."""
        return Position(self.topic, self.partition, self.offset)


@dataclass(frozen=True)
class OutgoingRecord:
    """A message to publish."""

    topic: str
    key: bytes
    value: bytes
    headers: Mapping[str, bytes]


@dataclass(frozen=True)
class Emit:
    """What a handler returns: a message for a topic. The key is the message's case id."""

    topic: str
    key: str
    message: Message


class Sink(Protocol):
    """The port that publishes messages."""

    async def publish(self, messages: Sequence[OutgoingRecord]) -> None:
        """Publish all; return once the broker has confirmed them. Raises BrokerAway if the broker is unreachable: some
        messages may have been written, and the caller publishes all of them again."""
        ...
