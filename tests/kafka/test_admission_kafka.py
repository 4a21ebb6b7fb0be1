"""Admission on Apache Kafka with both checks: similar questions in different partitions, two routers, one killed."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from services.contracts.codec import decode
from services.contracts.question import Question
from services.contracts.refused import Refused
from services.contracts.topics import QUESTION_ADMITTED, QUESTION_REFUSED, QUESTION_SUBMITTED
from services.core import ids
from services.core.dedupe.evaluation_file import dump
from services.core.dedupe.evaluation_index import Entry, build
from services.local.processes.process import Process
from services.runtime.kafka.admin import committed, held
from tests.kafka.stream import Stream, case_ids, running
from tests.kafka.tap import ask_until
from tests.strategies import recipe

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(150)]

WORKER = str(Path(__file__).with_name("router_worker.py"))
GROUPS, ALIKE, IN_TESTS = 40, 3, 20


def question(number: int) -> Question:
    """One that shares no pair of words with another."""
    stem = " ".join(f"word{number}x{place}" for place in range(40))
    options = {letter: f"Option {letter} of {number}, said at length" for letter in "ABCD"}
    return Question(question=f"{stem}?", options=options, answer="C", id=f"q{number}")


def alike(number: int) -> list[Question]:
    """The same question, as three people would write it: three case ids."""
    one = question(number)
    turned = dict(zip("ABCD", [*one.options.values()][::-1], strict=True))
    return [
        one,
        one.with_(question=one.question.upper(), id=None),
        one.with_(question=one.question.replace("x7 ", "y7 "), options=turned, answer="B", id=None),
    ]


SIMILAR = [alike(number) for number in range(GROUPS)]
TESTED = [question(1_000 + number) for number in range(IN_TESTS)]
ALL = [asked for group in zip(*SIMILAR, strict=True) for asked in group] + TESTED


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stream(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stream]:
    """All has been handed in to two routers, one was killed in the middle and came back; and each has ended."""
    folder = tmp_path_factory.mktemp("admission")
    index = folder / "evaluation.index"
    entries = [(Entry("exam.jsonl", f"e{number}", asked.question), asked) for number, asked in enumerate(TESTED)]
    index.write_bytes(dump(build(entries)))
    settings = {
        "REASONMED_ADMISSION__EVALUATION_INDEX": str(index),
        "REASONMED_ADMISSION__NEAR_DUPLICATES": "0.8",
    }
    async with running(
        folder,
        recipes=[recipe()],
        servers={},
        aliases={},
        settings=settings,
        programs={"router": [WORKER, json.dumps({"session_s": 2.0})]},
        properties={"group.min.session.timeout.ms": "500"},
    ) as stream:
        await stream.start("router-1", "router-2")
        half = len(ALL) // 2
        await stream.submit(ALL[:half])
        await until_ended(stream, ALL[: half // 4])
        await stream.worker("router-1").kill()
        await stream.submit(ALL[half:])
        await stream.begin("router-1")
        await until_ended(stream, ALL)
        yield stream


async def until_ended(stream: Stream, asked: Sequence[Question]) -> None:
    wanted = case_ids(asked)
    await stream.tap.until(lambda: wanted <= keys(stream, QUESTION_ADMITTED) | keys(stream, QUESTION_REFUSED), str)


def keys(stream: Stream, topic: str) -> set[str]:
    return {(message.key or b"").decode() for message in stream.tap.messages[topic]}


async def test_each_question_ends_once_admitted_or_refused(stream: Stream) -> None:
    """What a kill has repeated is the same, byte for byte."""
    assert keys(stream, QUESTION_ADMITTED).isdisjoint(keys(stream, QUESTION_REFUSED))
    for topic in (QUESTION_ADMITTED, QUESTION_REFUSED):
        values = Counter(stream.tap.values(topic))
        assert len(values) == len(keys(stream, topic))
    assert not stream.dead("router")
    assert stream.tap.seen.refused == keys(stream, QUESTION_REFUSED)
    assert stream.tap.seen.differing_repeats == 0


async def test_of_similar_questions_one_is_admitted(stream: Stream) -> None:
    """Whichever came first, in whatever partition; the others say which one it was."""
    admitted, refused = keys(stream, QUESTION_ADMITTED), refusals(stream)
    submitted = stream.tap.messages[QUESTION_SUBMITTED]
    partitions = {(message.key or b"").decode(): message.partition for message in submitted}
    for group in SIMILAR:
        [let_in] = case_ids(group) & admitted
        for case_id in case_ids(group) - {let_in}:
            assert refused[case_id].reason == "near_duplicate"
            assert refused[case_id].match.where == let_in
            assert refused[case_id].match.similarity >= 0.8
    assert any(len({partitions[case_id] for case_id in case_ids(group)}) == ALIKE for group in SIMILAR)


async def test_a_question_of_an_evaluation_set_is_refused(stream: Stream) -> None:
    refused = refusals(stream)
    for number, asked in enumerate(TESTED):
        said = refused[ids.case_id(asked)]
        assert (said.reason, said.match.where, said.match.id) == ("evaluation_set", "exam.jsonl", f"e{number}")
        assert said.question == asked


async def test_a_refused_question_that_comes_again_is_a_duplicate(stream: Stream) -> None:
    before = len(stream.tap.messages[QUESTION_REFUSED])
    await stream.submit(TESTED)
    await ask_until(lambda: all_committed(stream), bool, within_s=30)
    assert len(stream.tap.messages[QUESTION_REFUSED]) == before


async def test_an_index_that_cannot_be_read_stops_the_router_at_its_start(stream: Stream, tmp_path: Path) -> None:
    damaged = tmp_path / "evaluation.index"
    damaged.write_bytes(b"?")
    other = stream.worker("router-2")
    env = {**(other.env or {}), "REASONMED_ADMISSION__EVALUATION_INDEX": str(damaged)}
    async with Process("router-3", other.argv, log=tmp_path / "log", env=env, cwd=other.cwd) as bad:
        assert await bad.wait() == 1
    assert f"evaluation index {damaged} is not an evaluation index" in bad.log.read_text()


def refusals(stream: Stream) -> dict[str, Refused]:
    said = [decode(Refused, value) for value in stream.tap.values(QUESTION_REFUSED)]
    return {each.case_id: each for each in said}


async def all_committed(stream: Stream) -> bool:
    holds = await held(stream.client, [QUESTION_SUBMITTED])
    done = (await committed(stream.client, ["router"]))["router"]
    return all(done.get(partition) == offsets.stop for partition, offsets in holds.items() if offsets)
