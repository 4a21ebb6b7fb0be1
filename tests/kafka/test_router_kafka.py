"""The router, on Faust, on Apache Kafka itself: it loses nothing, and commits nothing that it has not done.

tests/kafka/router_worker.py runs it with a short session, so that a death costs the group two seconds and not thirty.
"""

import asyncio
import json
import os
import random
import signal
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from services.contracts.case import Case
from services.contracts.codec import encode
from services.contracts.question import Question, Submission
from services.contracts.recipe import Recipe
from services.contracts.topics import (
    CASE_ACCEPTED,
    CASE_DIFFICULT,
    CASE_MEDIUM,
    CASE_REJECTED,
    PATHS_VERIFIED,
    QUESTION_ADMITTED,
    QUESTION_SUBMITTED,
)
from services.core import ids
from services.core.messages import OutgoingRecord, TopicPartition
from services.ledger import open_ledger
from services.local.processes.process import Process
from services.local.servers.valkey import ValkeyServer
from services.router.admission import new_case
from services.router.routing_table import route
from services.runtime.kafka.admin import committed, held
from tests.kafka.stream import Stream, case_ids, running, submission
from tests.kafka.tap import ask_until
from tests.strategies import case, correct, path, recipe, wrong

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(150)]

RECIPE = recipe()
WORKER = str(Path(__file__).with_name("router_worker.py"))
SESSION_S = 2.0
PROGRAMS = {"router": [WORKER, json.dumps({"session_s": SESSION_S})]}
PROPERTIES = {"group.min.session.timeout.ms": "500"}
ROUTED = (CASE_ACCEPTED, CASE_MEDIUM, CASE_DIFFICULT, CASE_REJECTED)
INPUTS = (QUESTION_SUBMITTED, PATHS_VERIFIED)


def question(number: int) -> Question:
    letters = {letter: f"Option {letter} of {number}" for letter in "ABCD"}
    return Question(question=f"Which option of question {number} is it?", options=letters, answer="C")


def verified(number: int, recipe: Recipe) -> Case:
    """A case of nine judged paths, of which `number` modulo ten are correct."""
    asked = case(question(number), recipe)
    right = number % 10
    paths = [path(asked, slot) for slot in range(9)]
    return asked.with_(paths=tuple(correct(p) if p.slot < right else wrong(p) for p in paths))


class Work:
    """Messages for the router, and what must come of them."""

    def __init__(self, first: int, count: int, recipe: Recipe = RECIPE) -> None:
        questions = [question(number) for number in range(first, first + count)]
        cases = [verified(number, recipe) for number in range(first + 10_000, first + 10_000 + count)]
        self.questions = questions
        self.messages = [submission(one) for one in questions]
        self.messages += [OutgoingRecord(PATHS_VERIFIED, one.case_id.encode(), encode(one), {}) for one in cases]
        self.expected: defaultdict[str, set[bytes]] = defaultdict(set)
        for one in questions:
            submitted = Submission(case_id=ids.case_id(one), question=one)
            self.expected[QUESTION_ADMITTED].add(encode(new_case(submitted, ids.recipe_id(recipe))))
        for verified_case in cases:
            emit = route(verified_case, recipe.routing)
            self.expected[emit.topic].add(encode(emit.message))

    async def until_done(self, stream: Stream, *, within_s: float = 60.0) -> None:
        """Wait until all that must come is there."""

        def missing() -> dict[str, int]:
            left = {topic: len(values - set(stream.tap.values(topic))) for topic, values in self.expected.items()}
            return {topic: count for topic, count in left.items() if count}

        await stream.tap.until(lambda: not missing(), missing, within_s=within_s)

    def check(self, stream: Stream) -> int:
        """Nothing but what must come is there; how many messages are repeats (all equal, then)."""
        there = {topic: Counter(stream.tap.values(topic)) for topic in (QUESTION_ADMITTED, *ROUTED)}
        assert {topic: set(values) for topic, values in there.items() if values} == dict(self.expected)
        return sum(values.total() - len(values) for values in there.values())


async def all_committed(stream: Stream) -> bool:
    holds = await held(stream.client, INPUTS)
    done = (await committed(stream.client, ["router"]))["router"]
    return {p: offsets.stop for p, offsets in holds.items() if offsets} == {p: at for p, at in done.items() if at}


async def test_nothing_is_lost_under_kills_joins_and_sigterms(tmp_path: Path) -> None:
    seeded, work = random.Random(7), Work(0, 200)
    async with running(
        tmp_path, recipes=[RECIPE], servers={}, aliases={}, programs=PROGRAMS, properties=PROPERTIES
    ) as stream:
        # The first messages come while the first two join: no partition has a commit then.
        chaos = asyncio.create_task(disturb(stream, seeded))
        handing_in = asyncio.create_task(hand_in(stream, work.messages, seeded))
        codes = await chaos
        await handing_in
        await work.until_done(stream)
        await ask_until(lambda: all_committed(stream), bool, within_s=30)
        repeats = work.check(stream)
        async with open_ledger(stream.ledger) as ledger:
            assert await ledger.books.admitted() == {"first": 200, "duplicate": 0}
        assert not stream.dead("router")
        assert set(codes) == {0}, "who is asked to go, goes in order"
        await asyncio.gather(*(stream.until_ready(f"router-{n}") for n in (1, 2)))
        codes = await asyncio.gather(*(stream.worker(f"router-{n}").terminate(20.0) for n in (1, 2)))
        assert codes == [0, 0]
        assert repeats < 200, "what a fault repeats is what was finished within a commit interval"


async def hand_in(stream: Stream, messages: Sequence[OutgoingRecord], seeded: random.Random) -> None:
    left = seeded.sample(messages, len(messages))
    while left:
        some, left = left[:8], left[8:]
        await stream.sink.publish(some)
        await asyncio.sleep(0.5)  # a load that lasts as long as the faults do


async def disturb(stream: Stream, seeded: random.Random) -> list[int | None]:
    """Kills, joins and SIGTERMs, some seconds apart, each worker brought back; the exit codes of those asked to go."""
    workers: list[Process] = [await stream.begin(f"router-{number}") for number in (1, 2)]
    codes = []
    for number in range(8):
        await asyncio.sleep(seeded.uniform(1.5, 4.0))  # at any moment: while it starts, joins, works
        if number == 3:
            workers.append(await stream.begin("router-3"))
            continue
        worker = seeded.choice(workers)
        # A process that has only just begun knows no SIGTERM yet.
        if seeded.random() < 0.5 or not await stream.answers(worker.name):
            await worker.kill()
        else:
            codes.append(await worker.terminate(20.0))
        if worker.name == "router-3":
            workers.remove(worker)
        else:
            await worker.start()
    return codes


@pytest.mark.parametrize("faust_seeks", [False, True])
async def test_records_that_arrive_during_an_assignment(tmp_path: Path, faust_seeks: bool) -> None:
    """Faust drops what it has fetched between an assignment and its own being ready, here for 4 s, and seeks to the
    commits: of which there are none yet. Unmended, a quarter of these messages are lost, and committed."""
    work = Work(0, 60)
    random.Random(1).shuffle(work.messages)
    arguments = {"session_s": SESSION_S, "recovery_s": 4.0, "faust_seeks": faust_seeks}
    programs = {"router": [WORKER, json.dumps(arguments)]}
    async with running(
        tmp_path, recipes=[RECIPE], servers={}, aliases={}, programs=programs, properties=PROPERTIES
    ) as stream:
        await stream.start("router-1")
        second = await stream.begin("router-2")
        await ask_until(lambda: stream.why_not_ready("router-1"), lambda why: "no assignment" in why)
        await stream.sink.publish(work.messages[:60])
        await stream.until_ready("router-2")
        await stream.sink.publish(work.messages[60:])
        await work.until_done(stream)
        await ask_until(lambda: all_committed(stream), bool, within_s=30)
        work.check(stream)
        found_missing = [worker.log.read_text().count("skipped") for worker in (stream.worker("router-1"), second)]
        assert any(found_missing) == faust_seeks, "it was dropped; by our own consumer it was fetched again"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def valkey(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ValkeyServer]:
    async with ValkeyServer(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stream(valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stream]:
    programs = {"router": [WORKER, json.dumps({"session_s": SESSION_S, "raise_on": DEFECT})]}
    folder = tmp_path_factory.mktemp("router")
    settings = {"REASONMED_DRAIN_S": "3"}
    async with running(
        folder,
        recipes=[RECIPE],
        servers={},
        aliases={},
        settings=settings,
        ledger=valkey.url,
        programs=programs,
        properties=PROPERTIES,
    ) as stream:
        await stream.start("router-1", "router-2")
        yield stream


DEFECT = ids.case_id(question(999))


async def test_a_ledger_that_is_away_is_waited_for(stream: Stream, valkey: ValkeyServer) -> None:
    work = Work(1_000, 30)
    pids = [stream.worker(f"router-{n}").pid for n in (1, 2)]
    await valkey.stop()
    await stream.sink.publish(work.messages)
    await ask_until(lambda: holding(stream, work), bool)
    assert not stream.dead("router")
    await valkey.start()
    await work.until_done(stream)
    await ask_until(lambda: all_committed(stream), bool, within_s=30)
    assert work.expected[QUESTION_ADMITTED] <= set(stream.tap.values(QUESTION_ADMITTED))
    assert not stream.dead("router")
    assert pids == [stream.worker(f"router-{n}").pid for n in (1, 2)], "it went on by itself"


async def holding(stream: Stream, work: Work) -> bool:
    """Whether a message of each topic waits for the ledger, in some worker."""
    logs = "".join(stream.worker(f"router-{n}").log.read_text() for n in (1, 2))
    waiting = {json.loads(line)["what"] for line in logs.splitlines() if '"event": "away"' in line}
    mine = {message.key for message in work.messages}
    return all(
        any(f"{m.topic}/{m.partition}/{m.offset}" in waiting for m in stream.tap.messages[topic] if m.key in mine)
        for topic in INPUTS
    )


async def test_sigterm_with_a_backlog_and_the_ledger_away(stream: Stream, valkey: ValkeyServer) -> None:
    """Messages are held for the ledger: the worker goes at its deadline, in order, and leaves them to the others."""
    work = Work(2_000, 30)
    await valkey.stop()
    await stream.sink.publish(work.messages)
    await ask_until(lambda: holding(stream, work), bool)
    assert await stream.worker("router-1").terminate(40.0) == 0
    await valkey.start()
    await stream.start("router-1")
    await work.until_done(stream)
    await ask_until(lambda: all_committed(stream), bool, within_s=30)


async def test_a_broker_that_is_away_for_a_while(stream: Stream) -> None:
    before, after = Work(3_000, 30), Work(4_000, 30)
    await stream.sink.publish(before.messages)
    await stream.kafka.stop_broker(0)
    await asyncio.sleep(3.0)  # a while
    await stream.kafka.start_broker(0)
    began = asyncio.get_running_loop().time()
    await stream.sink.publish(after.messages)
    await before.until_done(stream, within_s=30)
    await after.until_done(stream, within_s=30)
    await ask_until(lambda: all_committed(stream), bool, within_s=30)
    assert asyncio.get_running_loop().time() - began < 30
    assert [stream.worker(f"router-{n}").running for n in (1, 2)] == [True, True]
    assert not stream.dead("router")


async def test_sigterm_while_the_broker_is_away(stream: Stream) -> None:
    await stream.kafka.kill_broker(0)
    assert await stream.worker("router-1").terminate(40.0) == 0, "it has waited for the broker, but not for ever"
    await stream.kafka.start_broker(0)
    work = Work(6_000, 10)
    await stream.start("router-1")
    await stream.sink.publish(work.messages)
    await work.until_done(stream)


async def test_a_defect_of_a_handler(stream: Stream) -> None:
    """It is tried again, then dead-lettered as it came; nothing behind it in its partition is acknowledged before."""
    work, bad = Work(5_000, 20), submission(question(999))
    await stream.sink.publish([bad])
    await stream.sink.publish(work.messages)
    await stream.tap.until(
        lambda: any(message.value == bad.value for message in stream.tap.messages[QUESTION_SUBMITTED]), str
    )
    (place,) = (message for message in stream.tap.messages[QUESTION_SUBMITTED] if message.value == bad.value)
    while not stream.dead("router"):
        done = (await committed(stream.client, ["router"]))["router"]
        if not stream.dead("router"):
            assert done.get(TopicPartition(place.topic, place.partition), 0) <= place.offset
    assert stream.dead("router") == [("defect", bad.value)]
    await work.until_done(stream)
    await ask_until(lambda: all_committed(stream), bool, within_s=30)
    assert case_ids([question(999)]).isdisjoint(
        (message.key or b"").decode() for message in stream.tap.messages[QUESTION_ADMITTED]
    )
    os.kill(stream.worker("router-2").pid or 0, signal.SIGTERM)
    assert await stream.worker("router-2").wait() == 0
