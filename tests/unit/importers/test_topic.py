"""A topic of the user's own: its group resumes where it was; a batch is committed once Kafka has it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from services.contracts.codec import decode
from services.contracts.question import Submission
from services.contracts.topics import QUESTION_SUBMITTED
from services.core.errors import BrokerAway
from services.core.messages import OutgoingRecord, TopicPartition
from services.importers.files import Observer, Result
from services.importers.formats import Asked
from services.importers.rejects import Rejects
from services.importers.submit import BATCH, Counts, PatientSink, Stop
from services.importers.topic import group, take_topic
from services.runtime.kafka.memory import MemoryBroker, MemorySink, MemorySource
from tests.unit.importers import sources
from tests.unit.importers.sources import ROW

TOPIC = "mine"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.importers.topic.POLL_S", 0.001)
    monkeypatch.setattr("services.importers.submit.AWAY_S", 0.001)


def filled(values: list[bytes], partitions: int = 2) -> MemoryBroker:
    broker = MemoryBroker(partitions)
    for number, value in enumerate(values):
        broker.append(OutgoingRecord(TOPIC, str(number).encode(), value, {}))
    return broker


def rows(count: int, first: int = 0) -> list[bytes]:
    return [json.dumps({**ROW, "id": str(number)}).encode() for number in range(first, first + count)]


def member(broker: MemoryBroker) -> MemorySource:
    return MemorySource(broker, topics=[TOPIC], group=group(TOPIC))


async def took(
    broker: MemoryBroker, folder: Path, *, source: MemorySource | None = None, sink: Any = None, **how: Any
) -> Result:
    rejects = Rejects(folder / "mine.rejected.jsonl", keep=None)
    given: dict[str, Any] = {"asked": Asked(), "observer": Observer(), "stop": Stop(), "follow": False} | how
    try:
        return await take_topic(
            TOPIC, source or member(broker), sink=sink or MemorySink(broker), rejects=rejects, **given
        )
    finally:
        rejects.close()


def submitted(broker: MemoryBroker) -> list[int]:
    found = [decode(Submission, one.value or b"").question.id for one in broker.messages(QUESTION_SUBMITTED)]
    return sorted(int(one or -1) for one in found)


async def test_the_whole_topic_is_submitted_and_the_next_run_resumes(tmp_path: Path) -> None:
    broker = filled([*rows(2 * BATCH), b"", b"not json"])
    result = await took(broker, tmp_path)
    assert (result.state, result.format, result.submitted, result.rejected) == ("done", "questions", 2 * BATCH, 1)
    (kept,) = [json.loads(line) for line in (tmp_path / "mine.rejected.jsonl").read_bytes().splitlines()]
    assert kept["row"] == "not json"
    at = broker.partition(TOPIC, str(2 * BATCH + 1).encode())
    assert kept["line"] == f"{at.partition}/{broker.end(at) - 1}"

    for number, value in enumerate([*rows(3, 2 * BATCH), b"again"]):
        broker.append(OutgoingRecord(TOPIC, str(number).encode(), value, {}))
    again = await took(broker, tmp_path)
    assert (again.submitted, again.rejected) == (3, 1)
    assert submitted(broker) == list(range(2 * BATCH + 3))
    assert len((tmp_path / "mine.rejected.jsonl").read_bytes().splitlines()) == 2


async def test_an_empty_topic_has_an_end(tmp_path: Path) -> None:
    assert await took(filled([]), tmp_path) == Result(TOPIC, "done")


async def test_unconfirmed_batches_are_not_committed(tmp_path: Path) -> None:
    broker = filled(rows(3))
    with pytest.raises(BrokerAway):
        await took(broker, tmp_path, sink=sources.ListSink(away_from=0))
    assert not broker.commits
    assert (await took(broker, tmp_path)).submitted == 3


async def test_after_a_rebalance_nothing_is_committed_that_may_be_anothers(tmp_path: Path) -> None:
    broker = filled(rows(3), partitions=1)
    source = member(broker)

    class Rebalances(MemorySink):
        """In the middle of the first batch."""

        async def publish(self, messages: Sequence[OutgoingRecord]) -> None:
            await super().publish(messages)
            if len(broker.messages(QUESTION_SUBMITTED)) == 3:
                await source.rebalance()

    result = await took(broker, tmp_path, source=source, sink=Rebalances(broker))
    assert result.submitted == 6  # the batch came again, and is known by its ids
    assert len({message.key for message in broker.messages(QUESTION_SUBMITTED)}) == 1
    assert broker.commits[group(TOPIC), TopicPartition(TOPIC, 0)].offset == 3


async def test_follow_survives_a_broker_outage_until_a_stop(tmp_path: Path) -> None:
    broker, stop, said = filled(rows(3)), Stop(), list[str]()

    def trouble(why: str) -> None:
        said.append(why)
        broker.away = None

    def progress(fraction: float | None, counts: Counts) -> None:
        if counts.submitted == 3:
            broker.away = "away"
            for value in rows(2, 3):
                broker.append(OutgoingRecord(TOPIC, b"x", value, {}))
        if counts.submitted >= 5:
            stop.set()

    sink = PatientSink(MemorySink(broker), stop, trouble)
    ears = Observer(progress=progress, warned=trouble)
    result = await took(broker, tmp_path, sink=sink, observer=ears, stop=stop, follow=True)
    assert result.state == "done"
    assert sorted(set(submitted(broker))) == list(range(5))
    assert said == ["away"]


@pytest.mark.parametrize(
    ("asked", "letter"), [(Asked("medmcqa-from-0"), b'"answer":"C"'), (Asked("medmcqa-from-1"), b'"answer":"B"')]
)
async def test_medmcqa_of_a_form_that_is_named(asked: Asked, letter: bytes, tmp_path: Path) -> None:
    broker = filled([json.dumps(sources.medmcqa(2)).encode()])
    assert (await took(broker, tmp_path)).state == "refused"
    assert not broker.commits
    assert (await took(broker, tmp_path, asked=asked)).submitted == 1
    assert letter in (broker.messages(QUESTION_SUBMITTED)[0].value or b"")
