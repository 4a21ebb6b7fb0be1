"""The scripted server's faults: each is the trouble that it is meant to be, the log says what was truly sent, and the
stream's handlers come through them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from services.core.errors import Retry
from services.core.ledger.calls import Reply, Request
from services.llm.scripted.faults import KINDS, Fault, Faults
from services.llm.scripted.log import Log
from services.llm.scripted.seeded import text_digest
from services.verifier import replies, verdict_schema
from tests.http.faulty_server import CASE_ID, LONG, QUESTIONS, outcomes

UNREADABLE = {"500", "reset", "broken", "empty", "truncated"}
ENOUGH = 150
"""Calls, of which each of ten kinds gets some: which ones is settled by the seed."""


async def faulted(faulted_server, requests: Sequence[Request]) -> dict[str, list[tuple[Any, Reply, Mapping[str, Any]]]]:
    """By kind of fault: what came of a call, the reply that was its due, and the log's end line."""
    async with faulted_server() as good:
        due = await outcomes(good.endpoint, requests)
    async with faulted_server(fault_rate=1.0) as bad:
        came = await outcomes(bad.endpoint, requests)
    ends = {line["id"]: line for line in bad.lines("end")}
    by_kind = defaultdict(list)
    for request, outcome, reply in zip(requests, came, due, strict=True):
        assert isinstance(reply, Reply)
        line = ends[request.call_id]
        by_kind[line["fault"]].append((outcome, reply, line))
    return by_kind


async def test_faults_in_a_chain_of_thought(faulted_server, request_of):
    requests = [request_of(number, case_id=CASE_ID, sampling=LONG) for number in range(ENOUGH)]
    by_kind = await faulted(faulted_server, requests)
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
async def test_faults_in_a_judgement(faulted_server, request_of, stage, schema):
    """Above all: the verifier reads just the verdict and the score that the log says were sent."""
    prompt = f"<reasoning>Thus.\nFinal answer: {QUESTIONS[CASE_ID].answer}</reasoning>"
    judging = {"case_id": CASE_ID, "stage": stage, "prompt": prompt, "schema": schema, "sampling": LONG}
    by_kind = await faulted(faulted_server, [request_of(number, **judging) for number in range(ENOUGH)])
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
    return verdict.outcome.capitalize() if verdict else None, score.value if score else None


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
