"""The whole stream on Apache Kafka: what becomes of questions, and of paid calls, when its processes come and go.

One stream for all of them, in order; each looks at questions of its own, and at the audit report of the run so far.
"""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Sequence

import orjson
import pytest
import pytest_asyncio

from services.contracts.case import Case
from services.contracts.codec import encode
from services.contracts.question import Question
from services.contracts.recipe import Generation, Model, Recipe, Routing, Slot
from services.contracts.topics import (
    PATHS_GENERATED,
    PATHS_VERIFIED,
    QUESTION_ADMITTED,
    QUESTION_SUBMITTED,
)
from services.core import ids
from services.core.messages import OutgoingRecord
from services.ledger import open_ledger
from services.llm.scripted import known
from services.recipes import load
from tests.kafka.stream import Stream, case_ids, running, submission
from tests.kafka.tap import ask_until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

CALL_S = 12
"""Seconds of a call of the slow model."""


def recipe(*plan: str) -> Recipe:
    """Three paths a question, written by these models; all else by the quick one."""
    default = load("default")
    quick = {
        name: task.with_(alias="quick", sampling=task.sampling.with_(max_tokens=2_000))
        for name in ("verify", "score", "refine", "reason", "summarize")
        if (task := getattr(default, name)) is not None
    }
    return default.with_(
        name="-".join(plan),
        models={alias: Model(served=alias) for alias in ("quick", "slow", "away")},
        generate=Generation(
            prompt=default.generate.prompt,
            plan=tuple(Slot(alias=alias, temperature=0.7) for alias in plan),
            max_tokens=2_000,
        ),
        routing=Routing(easy=2, medium=1),
        **quick,
    )


QUICK = recipe("quick", "quick", "quick")
SLOW = recipe("slow", "slow", "slow")
STUCK = recipe("slow", "slow", "away")
"""Its third path waits for a model that is away."""

SAMPLES = list(known.questions(known.SAMPLES).values())
OTHERS = ["router-1", "verifier-1", "refiner-medium-1", "refiner-difficult-1", "summarizer-1"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stream(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stream]:
    servers = {"slow": str(CALL_S), "quick": "0.02", "away": "0"}
    aliases = {"slow": "slow", "quick": "quick", "away": "away"}
    settings = {"REASONMED_LEASE_S": "6", "REASONMED_DRAIN_S": "60"}
    folder = tmp_path_factory.mktemp("stream")
    async with running(
        folder, recipes=[QUICK, SLOW, STUCK], servers=servers, aliases=aliases, settings=settings
    ) as stream:
        await asyncio.gather(*(stream.servers[name].process.start() for name in ("slow", "quick")))
        await stream.start("generator-1", *OTHERS)
        yield stream


def questions(first: int, count: int) -> Sequence[Question]:
    """Of the samples, each test has its own."""
    return SAMPLES[first : first + count]


async def test_a_second_generator_joins_while_calls_are_under_way(stream: Stream) -> None:
    mine = questions(0, 6)
    await stream.submit(mine, SLOW)
    await stream.until_under_way(mine, 18)
    begun, server = stream.under_way(mine), stream.servers["slow"].process
    server.pause()  # however long the start takes, no call ends before it
    await stream.start("generator-2")  # ready: it has partitions
    assert stream.under_way(mine) == begun, "the calls are still under way"
    server.resume()
    await stream.until_ended(mine)
    assert stream.repeated(mine) == set()
    assert await stream.defects() == {}


async def test_a_generator_is_killed_while_calls_are_under_way(stream: Stream) -> None:
    mine = questions(6, 8)
    killed = stream.worker("generator-2")
    await stream.submit(mine, SLOW)
    await stream.until_under_way(mine, 24)
    lost = stream.under_way(mine, killed)
    assert lost, "it has some of them"
    await killed.kill()
    await stream.start("generator-2")
    await stream.until_ended(mine)
    assert stream.repeated(mine) == lost, "what was under way in it, and nothing else, is paid for again"
    assert await stream.defects() == {}


async def test_sigterm_while_calls_are_under_way(stream: Stream) -> None:
    """Two of three calls of each case are under way, the third waits for a model that is away: the two go on into the
    ledger, the process ends in order, and its next life asks for nothing but the third."""
    mine = questions(14, 4)
    await stream.worker("generator-2").terminate(60.0)
    worker = stream.worker("generator-1")
    await stream.submit(mine, STUCK)
    await stream.until_under_way(mine, 8)
    begun = stream.under_way(mine)
    os.kill(worker.pid or 0, signal.SIGTERM)
    assert await worker.wait() == 0
    assert stream.under_way(mine) == set(), "it has waited for its calls"
    async with open_ledger(stream.ledger) as ledger:
        assert begun <= {call.call_id for call in await ledger.books.calls()}
        assert not [claim for claim in await ledger.books.claims() if claim.ended == "open" and claim.call_id in begun]
    assert case_ids(mine).isdisjoint((message.key or b"").decode() for message in stream.tap.messages[PATHS_GENERATED])
    await stream.servers["away"].process.start()
    await stream.start("generator-1", "generator-2")
    await stream.until_ended(mine)
    assert stream.repeated(mine) == set()
    assert await stream.defects() == {}


async def test_the_same_question_fifty_times_at_once(stream: Stream) -> None:
    (mine,) = questions(18, 1)
    async with open_ledger(stream.ledger) as ledger:
        before = await ledger.books.admitted()
        # From fifty sources, which are no part of its id: fifty messages that differ.
        await stream.submit([mine.with_(source=f"source {number}") for number in range(50)])
        await stream.until_ended([mine])
        await stream.tap.until(
            lambda: len(stream.tap.values(QUESTION_SUBMITTED, ids.case_id(mine))) == 50, lambda: "50 submissions"
        )
        after = await ask_until(ledger.books.admitted, lambda counts: counts["duplicate"] == before["duplicate"] + 49)
    assert after["first"] == before["first"] + 1
    assert len(stream.tap.values(QUESTION_ADMITTED, ids.case_id(mine))) == 1
    assert stream.repeated([mine]) == set()


async def test_a_model_server_that_is_away_for_a_while(stream: Stream) -> None:
    mine = questions(19, 4)
    server = stream.servers["quick"].process
    await server.terminate()
    await stream.submit(mine)

    async def held() -> bool:
        pages = [await stream.metrics(name) for name in ("generator-1", "generator-2")]
        return any(
            "reasonmed_held{" in line and 'state="away"' in line and not line.endswith(" 0.0")
            for page in pages
            for line in page.splitlines()
        )

    await ask_until(held, bool)
    assert case_ids(mine).isdisjoint(stream.tap.seen.ended_questions())
    await server.start()
    await stream.until_ended(mine)
    assert await stream.defects() == {}
    assert (await stream.audit())["dead_letters"] == 0


async def test_malformed_messages_are_dead_lettered_and_the_stream_continues(stream: Stream) -> None:
    mine, unsubmitted = questions(23, 3), questions(26, 2)
    bad = {
        topic: [(kind, OutgoingRecord(topic, key, value, {})) for kind, key, value in unreadable(topic, *unsubmitted)]
        for topic in (QUESTION_SUBMITTED, PATHS_GENERATED, PATHS_VERIFIED)
    }
    await stream.sink.publish([message for messages in bad.values() for _, message in messages])
    await stream.submit(mine)
    await stream.until_ended(mine)
    expected = {
        "router": [*bad[QUESTION_SUBMITTED], *bad[PATHS_VERIFIED]],
        "verifier": bad[PATHS_GENERATED],
    }
    for service, messages in expected.items():
        await _until_dead(stream, service, sorted((kind, message.value) for kind, message in messages))
    assert await stream.defects() == {}


async def _until_dead(stream: Stream, service: str, wanted: list[tuple[str, bytes]]) -> None:
    await stream.tap.until(
        lambda: sorted(stream.dead(service)) == wanted,
        lambda: [(kind, value[:40]) for kind, value in stream.dead(service)],
    )


async def test_the_account_of_it_all(stream: Stream) -> None:
    said = await stream.audit()
    assert await stream.defects() == {}
    assert said["questions"] == said["ended"] == 6 + 8 + 4 + 1 + 4 + 3 + 1, "the last: a dead letter, under a wrong key"
    assert said["accepted"] + said["rejected"] == 26
    assert said["dead_letters"] == 9


def unreadable(topic: str, one: Question, other: Question) -> list[tuple[str, bytes, bytes]]:
    """Kind, key and value of messages that are no use to the topic's reader."""
    key = ids.case_id(one).encode()
    good = (
        submission(one).value
        if topic == QUESTION_SUBMITTED
        else encode(
            Case(
                case_id=ids.case_id(one),
                work_id=ids.work_id(ids.case_id(one), ids.recipe_id(QUICK)),
                recipe_id=ids.recipe_id(QUICK),
                question=one,
            )
        )
    )
    newer = orjson.dumps({**json.loads(good), "version": "2.0"})
    return [("poison", key, b"\x00 no JSON"), ("poison", ids.case_id(other).encode(), good), ("not_yet", key, newer)]
