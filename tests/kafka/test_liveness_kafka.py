"""Rule 10 on Apache Kafka itself: whatever a broker, or the client in it, does to a worker, the worker continues by
itself, or ends with an error and continues once it is restarted, as a supervisor starts it here.

The known stalls of aiokafka and Faust are provoked as closely as possible: brokers killed under commits and joins
(aiokafka #703, #847), a broker paused for longer than the time-out of a request (#1037, #1017), a worker paused for
longer than its session, a client whose background tasks have ended, a member that doesn't notice its removal from the
group, a Faust app that waits longer than its poll interval (faust-streaming #138).
"""

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.producer import message_accumulator, producer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from services.contracts.question import Question
from services.contracts.recipe import Generation, Model, Routing, Slot
from services.contracts.topics import PATHS_GENERATED, QUESTION_ADMITTED, QUESTION_SUBMITTED, dead_topic
from services.core import ids
from services.recipes import load
from services.runtime.kafka.admin import committed, held
from tests.kafka.stream import Stream, case_ids, running, submission
from tests.kafka.tap import ask_until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

SESSION_S = 2
NUMBERS = itertools.count()
WORKERS = ("router-1", "generator-1")
GROUPS = {"router": [QUESTION_SUBMITTED], "generator": [QUESTION_ADMITTED]}
DEFAULT = load("default")
RECIPE = DEFAULT.with_(
    models={**DEFAULT.models, "quick": Model(served="quick")},
    generate=Generation(
        prompt=DEFAULT.generate.prompt, plan=3 * (Slot(alias="quick", temperature=0.7),), max_tokens=2_000
    ),
    routing=Routing(easy=2, medium=1),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stream(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stream]:
    """The router on Faust and the generator on the engine, one behind the other, as they are."""
    aliases = dict.fromkeys(RECIPE.models, "quick")
    async with running(
        tmp_path_factory.mktemp("liveness"),
        recipes=[RECIPE],
        servers={"quick": "0.05"},
        aliases=aliases,
        settings={"REASONMED_SESSION_S": str(SESSION_S), "REASONMED_DRAIN_S": "5"},
        properties={"group.min.session.timeout.ms": "500"},
    ) as stream:
        await stream.servers["quick"].process.start()
        await stream.start(*WORKERS)
        yield stream


def questions(count: int) -> Sequence[Question]:
    """New ones each time."""
    numbers = [next(NUMBERS) for _ in range(count)]
    options = {letter: f"Option {letter}" for letter in "ABCD"}
    return [Question(question=f"Which of {number} is it?", options=options, answer="C") for number in numbers]


async def until_through(stream: Stream, asked: Sequence[Question]) -> None:
    """Wait until each question has passed the router and the generator, and both have committed all they have read."""
    wanted = case_ids(asked)

    def left() -> set[str]:
        return wanted - {(message.key or b"").decode() for message in stream.tap.messages[PATHS_GENERATED]}

    await stream.tap.until(lambda: not left(), lambda: f"{len(left())} of {len(wanted)} are missing", within_s=150)
    await ask_until(lambda: all_committed(stream), bool, within_s=150)


async def until_some_are_under_way(stream: Stream, asked: Sequence[Question]) -> None:
    some = ids.case_id(asked[len(asked) // 10])
    await stream.tap.until(lambda: bool(stream.tap.values(QUESTION_ADMITTED, some)), str)


async def until_unassigned(stream: Stream, name: str) -> None:
    await ask_until(lambda: stream.why_not_ready(name), lambda why: "no assignment" in why)


async def rebalances(stream: Stream, name: str) -> int:
    """How often a worker has lost its partitions: of a join that is over between two looks, this remains."""
    found = re.search(r"^reasonmed_rebalances_total{.*} (\S+)$", await stream.metrics(name), re.MULTILINE)
    return int(float(found[1])) if found else 0


async def all_committed(stream: Stream) -> bool:
    done = await committed(stream.client, GROUPS)
    for group, topics in GROUPS.items():
        ends = {place: offsets.stop for place, offsets in (await held(stream.client, topics)).items() if offsets}
        if {place: at for place, at in done[group].items() if at and place.topic in topics} != ends:
            return False
    return True


@asynccontextmanager
async def supervised(stream: Stream, *names: str) -> AsyncIterator[Counter[str]]:
    """Start workers again that end by themselves, for which their exit code may not be 0; how often, by name."""
    again: Counter[str] = Counter()

    async def supervise(name: str) -> None:
        while True:
            assert await stream.worker(name).wait() != 0, f"{name} exited as if on SIGTERM"
            again[name] += 1
            await stream.begin(name)

    watching = [asyncio.create_task(supervise(name)) for name in names]
    try:
        yield again
    finally:
        for task in watching:
            task.cancel()
        ended = await asyncio.gather(*watching, return_exceptions=True)
    assert {type(error) for error in ended} == {asyncio.CancelledError}, ended


async def test_a_broker_killed_again_and_again_while_groups_commit(stream: Stream) -> None:
    async with supervised(stream, *WORKERS):
        for _ in range(3):
            asked = questions(30)
            await stream.submit(asked)
            await until_some_are_under_way(stream, asked)
            await stream.kafka.kill_broker(0)
            await stream.kafka.start_broker(0)
            await until_through(stream, asked)


async def test_a_broker_killed_while_groups_join(stream: Stream) -> None:
    workers = (*WORKERS, "router-2", "generator-2")
    before = {name: await rebalances(stream, name) for name in workers[:2]}
    for name in workers[2:]:
        await stream.begin(name)
    async with supervised(stream, *workers):
        for name, count in before.items():
            await ask_until(partial(rebalances, stream, name), count.__lt__)
        await stream.kafka.kill_broker(0)
        await stream.kafka.start_broker(0)
        asked = questions(20)
        await stream.submit(asked)
        await until_through(stream, asked)
        await asyncio.gather(*(stream.until_ready(name, within_s=150) for name in workers))


async def test_workers_that_stood_still_past_their_session_come_back(stream: Stream) -> None:
    """Others have their partitions then; and when those are gone, they are theirs again."""
    first, others = WORKERS, ("router-2", "generator-2")
    async with supervised(stream, *first):
        for name in first:
            stream.worker(name).pause()
        asked = questions(20)
        await stream.submit(asked)
        await until_through(stream, asked)
        for name in first:
            stream.worker(name).resume()
        for name in others:
            await stream.until_ready(name)
            assert await stream.worker(name).terminate(30.0) == 0
        asked = questions(20)
        await stream.submit(asked)
        await until_through(stream, asked)


async def test_a_broker_that_is_suspended_past_every_time_out(stream: Stream) -> None:
    """Its connections stay open, and nothing is answered: 40 s is what a request may take."""
    asked = questions(30)
    async with supervised(stream, *WORKERS):
        await stream.submit(asked[:20])
        stream.kafka.pause_broker(0)
        try:
            await asyncio.sleep(45.0)
        finally:
            stream.kafka.resume_broker(0)
        await stream.submit(asked[20:])
        await until_through(stream, asked)


async def test_workers_started_while_the_broker_is_away_wait_for_it(stream: Stream) -> None:
    names = WORKERS
    for name in names:
        assert await stream.worker(name).terminate(30.0) == 0
    await stream.kafka.stop_broker(0)
    pids = [(await stream.begin(name)).pid for name in names]
    for name in names:
        await until_unassigned(stream, name)
        assert await stream.answers(name), "it waits, and is alive"
    await stream.kafka.start_broker(0)
    asked = questions(10)
    await stream.submit(asked)
    await until_through(stream, asked)
    assert [stream.worker(name).pid for name in names] == pids


class Odd(str):
    """A header's name as no producer of ours writes it."""

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return b"\xff\xfe"


async def test_a_header_name_that_is_not_utf_8_stops_no_reader(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """aiokafka as it is fails at it for good. Among good messages, one that is poison as well."""
    asked = questions(8)
    for module in (producer, message_accumulator):
        monkeypatch.setattr(module, "DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy)
    async with supervised(stream, *WORKERS) as again, AIOKafkaProducer(**stream.client.arguments()) as odd:
        for topic in (QUESTION_SUBMITTED, QUESTION_ADMITTED):
            await odd.send_and_wait(topic, b"no message", key=b"odd", headers=[(Odd("odd"), b"value")])
        for each in map(submission, asked):
            await odd.send_and_wait(each.topic, each.value, key=each.key, headers=[(Odd("odd"), b"value")])
        await until_through(stream, asked)
    assert not again
    for service in ("router", "generator"):
        assert ("poison", b"no message") in stream.dead(service)
        letters = stream.tap.messages[dead_topic(service)]
        assert any(message.headers.get("\\xff\\xfe") == b"value" for message in letters)
