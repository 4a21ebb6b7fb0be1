"""Whole cases through the stream's handlers on a scripted server that misbehaves."""

import asyncio
from collections import defaultdict

from services.contracts.base import CaseId
from services.contracts.case import Case
from services.contracts.codec import decode, encode
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
from services.core import ids
from services.core.errors import Dead
from services.core.holds import Holds
from services.core.messages import ConsumedRecord, Emit
from services.core.models import Models
from services.generator.handler import generate
from services.ledger.memory.ledger import memory_ledger
from services.llm.client import ChatClient
from services.llm.dispatcher import Dispatcher
from services.llm.pace import Pace
from services.llm.scripted.faults import KINDS
from services.local.audit.report import Ledger, calls_against_ledger, route_mismatches
from services.local.audit.topic_counts import Topics
from services.refiner.handler import reason_again, refine
from services.router.routing_table import route
from services.summarizer.handler import summarize
from services.verifier.handler import verify
from tests.http.faulty_server import QUESTIONS, RECIPE


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


async def follow(case_id: CaseId, models: Models, seen: Topics) -> str:
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


async def test_thirty_questions_come_through(faulted_server):
    """Of 100 replies, 15 go wrong: all cases end, by the routes that the log says; no call is repeated without need."""
    seen, ledger = Topics(), memory_ledger()
    seen.take(received(RECIPES, ids.recipe_id(RECIPE), encode(RECIPE)))
    async with faulted_server(fault_rate=0.15) as server:
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
