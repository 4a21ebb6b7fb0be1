"""The scripted server's faults: each is the trouble that it is meant to be, the log says what was truly sent, and the
stream's handlers come through them."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import aiohttp
import orjson
import pytest

from services.contracts.case import Case
from services.contracts.codec import decode, encode
from services.contracts.recipe import Sampling
from services.contracts.topics import (
    CASE_ACCEPTED,
    CASE_DIFFICULT,
    CASE_MEDIUM,
    CASE_REJECTED,
    PATHS_GENERATED,
    PATHS_VERIFIED,
    QUESTION_ADMITTED,
    RECIPES,
    RECORD_COMPLETED,
)
from services.core.case import ids
from services.core.endpoint import Endpoint
from services.core.errors import Dead, Retry, Trouble
from services.core.holds import Holds
from services.core.ledger.calls import Reply, Request
from services.core.messages import ConsumedRecord, Emit
from services.core.models import Models
from services.generator.handler import generate
from services.ledger.memory.ledger import memory_ledger
from services.llm.client import ChatClient
from services.llm.dispatcher import Dispatcher
from services.llm.pace import Pace
from services.llm.scripted import faults, known
from services.llm.scripted.faults import KINDS, Fault, Faults, Window
from services.llm.scripted.log import Log
from services.llm.scripted.script import Script
from services.llm.scripted.scripted_author import ScriptedAuthor
from services.llm.scripted.seeded import text_digest
from services.llm.scripted.server import Latency, Load, ScriptedServer
from services.llm.troubles import Busy, Refuses, TimedOut
from services.local.audit.report import Ledger, calls_against_ledger, route_mismatches
from services.local.audit.topic_counts import Topics
from services.recipes import load
from services.refiner.handler import reason_again, refine
from services.router.rules import route
from services.summarizer.handler import summarize
from services.verifier import replies, verdict_schema
from services.verifier.handler import verify

QUESTIONS = known.questions(known.SAMPLES)
CASE_ID = next(iter(QUESTIONS))
RECIPE = load("default")
LONG = Sampling(temperature=0.7, max_tokens=8_192)
UNREADABLE = {"500", "reset", "broken", "empty", "truncated"}
ENOUGH = 150
"""Calls, of which each of ten kinds gets some: which ones is settled by the seed."""


class Playing:
    """A server, its address and its log."""

    def __init__(self, url: str, file) -> None:
        self.url = url.removesuffix("/v1")
        self.endpoint = Endpoint(url, timeout_s=10, max_calls=100)
        self._file = file

    def lines(self, event: str) -> list[dict[str, Any]]:
        lines = map(orjson.loads, self._file.read_bytes().splitlines())
        return [line for line in lines if line["event"] == event]

    async def control(self, method: str, body: bytes = b"") -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.url}/faults", data=body) as response,
        ):
            return response.status

    async def window(self, kind: str, **more: float) -> None:
        assert await self.control("POST", orjson.dumps({"kind": kind, "seconds": 600, **more})) == 204


@pytest.fixture
def playing(served, tmp_path):
    @asynccontextmanager
    async def play(fault_rate: float = 0.0) -> AsyncIterator[Playing]:
        file = tmp_path / f"calls-{fault_rate}.jsonl"
        log = Log(file)
        script = Script(QUESTIONS, ScriptedAuthor(QUESTIONS, seed=1), seed=1)
        load_ = Load(100, Latency(0.0, 0.0))
        server = ScriptedServer(script, load_, log, seed=1, fault_rate=fault_rate)
        async with served(server.app()) as url:
            yield Playing(url, file)
        log.close()

    return play


async def outcomes(endpoint: Endpoint, requests: Sequence[Request]) -> list[Reply | Trouble]:
    async with ChatClient({"writer": endpoint}) as client:

        async def outcome(request: Request) -> Reply | Trouble:
            try:
                return await client.send(request, owner="x", attempt=request.call_id)
            except Trouble as trouble:
                return trouble

        return list(await asyncio.gather(*map(outcome, requests)))


# --- a share of the replies ------------------------------------------------------------------------------------------


async def faulted(playing, requests: Sequence[Request]) -> dict[str, list[tuple[Any, Reply, Mapping[str, Any]]]]:
    """By kind of fault: what came of a call, the reply that was its due, and the log's end line."""
    async with playing() as good:
        due = await outcomes(good.endpoint, requests)
    async with playing(fault_rate=1.0) as bad:
        came = await outcomes(bad.endpoint, requests)
    ends = {line["id"]: line for line in bad.lines("end")}
    by_kind = defaultdict(list)
    for request, outcome, reply in zip(requests, came, due, strict=True):
        assert isinstance(reply, Reply)
        line = ends[request.call_id]
        by_kind[line["fault"]].append((outcome, reply, line))
    return by_kind


async def test_what_becomes_of_a_chain_of_thought(playing, request_of):
    requests = [request_of(number, case_id=CASE_ID, sampling=LONG) for number in range(ENOUGH)]
    by_kind = await faulted(playing, requests)
    assert set(by_kind) == set(KINDS) - {"twice", "stranger"}
    for kind, came in by_kind.items():
        for outcome, due, line in came:
            if kind in UNREADABLE | {"types"}:
                assert type(outcome) is Retry, kind
                assert line["withheld"]
                assert not {"text", "stated", "finish", "usage"} & set(line)
                continue
            assert line["text"] == text_digest(outcome.text)
            assert (line["finish"], line["stated"]) == (outcome.finish_reason, None)
            assert "withheld" not in line
            if kind == "no_text":
                assert (outcome.text, outcome.finish_reason) == ("", "stop")
            else:
                assert (outcome.text, outcome.finish_reason) == (due.text[: len(due.text) // 2], "length")


@pytest.mark.parametrize(
    ("stage", "schema"),
    [
        ("verify", verdict_schema.VERDICT_SCHEMA),
        ("verify", verdict_schema.BOTH_SCHEMA),
        ("score", verdict_schema.SCORE_SCHEMA),
    ],
)
async def test_what_becomes_of_a_judgement(playing, request_of, stage, schema):
    """Above all: the verifier reads just the verdict and the score that the log says were sent."""
    prompt = f"<reasoning>Thus.\nFinal answer: {QUESTIONS[CASE_ID].answer}</reasoning>"
    judging = {"case_id": CASE_ID, "stage": stage, "prompt": prompt, "schema": schema, "sampling": LONG}
    by_kind = await faulted(playing, [request_of(number, **judging) for number in range(ENOUGH)])
    assert set(by_kind) == set(KINDS)
    for kind, came in by_kind.items():
        for outcome, due, line in came:
            if kind in UNREADABLE:
                assert type(outcome) is Retry, kind
                assert line["withheld"]
                assert not {"verdict", "score", "text"} & set(line)
                continue
            assert "withheld" not in line
            assert line["text"] == text_digest(outcome.text)
            assert read(outcome) == (line.get("verdict"), line.get("score")), outcome.text
            if kind in ("no_text", "types", "twice"):
                assert read(outcome) == (None, None)
            elif kind == "stranger":
                assert all(one is None or one != other for one, other in zip(read(outcome), read(due), strict=True))
                assert read(outcome) != (None, None)
            else:
                assert outcome.finish_reason == "length"
                assert read(outcome)[0] == read(due)[0]


def read(reply: Reply) -> tuple[str | None, int | None]:
    verdict, score = replies.verdict(reply), replies.score(reply)
    return verdict and verdict.outcome.capitalize(), None if score is None else score.value


def test_a_fault_follows_from_the_call_and_its_repeats_alone():
    def drawn(calls: Sequence[str], seed: int = 1) -> dict[str, list[Fault | None]]:
        drawing, by_call = Faults(0.3, Log(None), seed=seed), defaultdict(list)
        for call_id in calls:
            by_call[call_id].append(drawing.draw(call_id, "verify"))
        return by_call

    calls = [f"call-{number}" for number in range(200) for _ in range(4)]
    once = drawn(calls)
    assert drawn(calls[::-1]) == once
    assert drawn(calls, seed=2) != once
    tries = [fault for by_call in once.values() for fault in by_call]
    assert 0.27 < sum(fault is not None for fault in tries) / len(tries) < 0.33
    assert any(first is not None and second is None for first, second, *_ in once.values()), "a retry may go well"


# --- windows ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "trouble", "status"),
    [
        ("401", Refuses, 401),
        ("429", Busy, 429),
        ("500", Retry, 500),
        ("502", Retry, 502),
        ("503", Busy, 503),
        ("error_in_200", Busy, 200),
        ("reset", Retry, 200),
    ],
)
async def test_a_window_hits_what_begins_in_it(playing, request_of, kind, trouble, status):
    async with playing() as server:
        await server.window(kind)
        (hit,) = await outcomes(server.endpoint, [request_of(1)])
        assert await server.control("DELETE") == 204
        (well,) = await outcomes(server.endpoint, [request_of(1)])
    assert type(hit) is trouble
    assert isinstance(well, Reply)
    if kind == "429":
        assert hit.retry_after == 1
    first, second = server.lines("end")
    assert (first["status"], first["fault"], first["withheld"]) == (status, kind, True)
    assert "fault" not in second
    opened, closed = server.lines("window")
    assert opened["kind"] == closed["kind"] == kind
    assert opened["until"] - opened["at"] == pytest.approx(600)
    assert opened["at"] == closed["at"] <= closed["until"] < opened["until"]


async def test_slow_is_late_and_well(playing, request_of):
    async with playing() as server:
        (due,) = await outcomes(server.endpoint, [request_of(1)])
        await server.window("slow", delay_s=600)
        (late,) = await outcomes(Endpoint(server.endpoint.base_url, timeout_s=0.2), [request_of(1)])
        await server.control("DELETE")
        await server.window("slow", delay_s=0.01)
        (well,) = await outcomes(server.endpoint, [request_of(1)])
    assert isinstance(late, TimedOut)
    assert well == due
    _, waited, came = server.lines("end")
    assert (waited["fault"], waited["reset"], "withheld" in waited) == ("slow", True, False)
    assert (came["fault"], came["status"], "withheld" in came, "text" in came) == ("slow", 200, False, True)


async def test_what_hangs_ends_with_its_client(playing, request_of):
    async with playing() as server:
        await server.window("hang")
        (hung,) = await outcomes(Endpoint(server.endpoint.base_url, timeout_s=0.2), [request_of(1)])
    assert isinstance(hung, TimedOut)
    (line,) = server.lines("end")
    assert (line["status"], line["reset"], line["fault"], line["withheld"]) == (None, True, "hang", True)


async def test_a_window_of_a_share_hits_a_share(playing, request_of):
    async with playing() as server:
        await server.window("500", share=0.5)
        came = await outcomes(server.endpoint, [request_of(number) for number in range(100)])
    assert 30 < sum(isinstance(outcome, Retry) for outcome in came) < 70


async def test_what_is_no_window_is_refused(playing):
    async with playing() as server:
        for wrong in (
            b"",
            b'{"kind": "429"}',
            b'{"kind": "broken", "seconds": 5}',
            b'{"kind": "429", "seconds": 0}',
            b'{"kind": "429", "seconds": 5, "share": 2}',
            b'{"kind": "429", "seconds": 5, "shares": 1}',
        ):
            assert await server.control("POST", wrong) == 400
        assert server.lines("window") == []


def test_a_window_ends_by_itself(monkeypatch):
    clock = SimpleNamespace(now=1_000.0)
    monkeypatch.setattr(faults, "time", SimpleNamespace(time=lambda: clock.now))
    drawing = Faults(0.0, Log(None), seed=1)
    drawing.open(Window(kind="500", seconds=5))
    clock.now = 1_004.9
    assert drawing.draw("call", "generate") == Fault("500")
    clock.now = 1_005.0
    assert drawing.draw("call", "generate") is None


# --- the stream's handlers under them --------------------------------------------------------------------------------


async def routed(case: Case, models: Models) -> list[Emit]:
    return [route(case, RECIPE.routing)]


HANDLERS = {
    QUESTION_ADMITTED: lambda case, models: generate(case, RECIPE, models),
    PATHS_GENERATED: lambda case, models: verify(case, RECIPE, models),
    PATHS_VERIFIED: routed,
    CASE_MEDIUM: lambda case, models: refine(case, RECIPE, models),
    CASE_DIFFICULT: lambda case, models: reason_again(case, RECIPE, models),
    CASE_ACCEPTED: lambda case, models: summarize(case, RECIPE, models),
}


async def follow(case_id: str, models: Models, seen: Topics) -> str:
    """A question's whole way, each message through its bytes; the topic of its end, or the kind of its death."""
    recipe_id = ids.recipe_id(RECIPE)
    work_id = ids.work_id(case_id, recipe_id)
    case = Case(case_id=case_id, work_id=work_id, recipe_id=recipe_id, question=QUESTIONS[case_id])
    arrived = [Emit(QUESTION_ADMITTED, case_id, case)]
    while arrived:
        emit = arrived.pop(0)
        seen.take(received(emit.topic, emit.key, encode(emit.message)))
        if emit.topic in HANDLERS:
            try:
                arrived += await HANDLERS[emit.topic](decode(Case, encode(emit.message)), models)
            except Dead as dead:
                return dead.kind
    return emit.topic


def received(topic: str, key: str, value: bytes) -> ConsumedRecord:
    return ConsumedRecord(topic, 0, 0, key.encode(), value, {})


async def test_thirty_questions_come_through(playing):
    """Of 100 replies, 15 go wrong: all cases end, by the routes that the log says; no call is repeated without need."""
    seen, ledger = Topics(), memory_ledger()
    seen.take(received(RECIPES, ids.recipe_id(RECIPE), encode(RECIPE)))
    async with playing(fault_rate=0.15) as server:
        endpoints = dict.fromkeys(RECIPE.models, server.endpoint)
        pace = Pace(retry_first_s=0.01, retry_most_s=0.01)
        async with (
            ChatClient(endpoints) as client,
            Dispatcher(client, ledger.calls, endpoints=endpoints, owner="one", holds=Holds(), pace=pace) as models,
        ):
            ends = await asyncio.gather(*(follow(case_id, models, seen) for case_id in QUESTIONS))
    held = Ledger(await ledger.books.calls(), await ledger.books.claims())
    log = server.lines("start") + server.lines("end")
    assert set(ends) == {RECORD_COMPLETED, CASE_REJECTED}
    assert len(seen.difficulty) == len(QUESTIONS)
    assert set(seen.difficulty.values()) == {"easy", "medium", "difficult"}
    assert route_mismatches(seen, held, log) == 0
    assert calls_against_ledger(held, log) == 0
    assert {line["fault"] for line in log if "fault" in line} == set(KINDS)
    by_call = defaultdict(list)
    for line in server.lines("end"):
        by_call[line["id"]].append(line)
    repeated = [lines for lines in by_call.values() if len(lines) > 1]
    assert len(repeated) > 30
    assert all(line.get("withheld") for lines in by_call.values() for line in lines[:-1])
