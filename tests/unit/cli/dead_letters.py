"""Dead letters for the command's tests; Kafka is a dictionary."""

import json
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Self

import pytest

from services.cli.__main__ import main
from services.contracts.case import Case
from services.contracts.codec import encode
from services.contracts.dead import DEAD_LETTER_HEADER, DeadKind, DeadLetter
from services.contracts.topics import (
    PATHS_VERIFIED,
    dead_topic,
    topics,
)
from services.core.errors import BrokerAway
from services.core.messages import ConsumedRecord, OutgoingRecord, TopicPartition
from tests.strategies import QUESTION, case, failed, path, wrong

NOON = 1_779_019_200_000
"""2026-05-17 12:00 UTC."""


class Broker:
    """Topics of one partition each."""

    def __init__(self) -> None:
        self.messages: defaultdict[str, list[ConsumedRecord]] = defaultdict(list)
        self.refuses: str | None = None

    def write(self, message: OutgoingRecord, timestamp_ms: int = NOON) -> None:
        there = self.messages[message.topic]
        there.append(
            ConsumedRecord(
                message.topic, 0, len(there), message.key, message.value, message.headers, timestamp_ms=timestamp_ms
            )
        )

    async def held(self, _: Any, names: Sequence[str]) -> dict[TopicPartition, range]:
        return {TopicPartition(name, 0): range(len(self.messages[name])) for name in names if name in topics()}

    async def read_topic(self, _: Any, *names: str) -> AsyncGenerator[ConsumedRecord, None]:
        for message in [message for name in names for message in self.messages[name]]:
            yield message

    async def read_range(self, _: Any, partition: TopicPartition, begin: int, end: int) -> list[ConsumedRecord]:
        return self.messages[partition.topic][begin:end]

    def values(self, topic: str) -> list[bytes]:
        return [message.value or b"" for message in self.messages[topic]]


class Sink:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def publish(self, messages: Sequence[OutgoingRecord]) -> None:
        for message in messages:
            if message.topic == self._broker.refuses:
                raise BrokerAway("refused")
            self._broker.write(message)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


def bury(
    broker: Broker,
    value: bytes,
    *,
    kind: DeadKind = "too_many_unknown",
    service: str = "router",
    topic: str = PATHS_VERIFIED,
    error: str = "4 of 9 paths are unknown",
    key: bytes = case().case_id.encode(),
    at: int = NOON,
) -> None:
    offset = 100 + len(broker.messages[dead_topic(service)])
    reason = DeadLetter(service=service, kind=kind, error=error, attempts=2, topic=topic, partition=1, offset=offset)
    headers = {"trace": b"\x1b[2J", DEAD_LETTER_HEADER: encode(reason)}
    broker.write(OutgoingRecord(dead_topic(service), key, value, headers), at)


def undecided(number: int = 0) -> Case:
    made = case(QUESTION.with_(question=f"Question {number}?"))
    return made.with_(
        paths=tuple(failed(path(made, slot)) if slot < 4 else wrong(path(made, slot)) for slot in range(9))
    )


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """What is printed on stdout."""
    with pytest.raises(SystemExit) as ended:
        main(["dead", *arguments])
    printed = capsys.readouterr()
    assert ended.value.code == code, printed.err
    return printed.out


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(run(capsys, *arguments, "--json"))
