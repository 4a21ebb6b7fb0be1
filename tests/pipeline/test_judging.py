"""`judge: needed` ends every case as `judge: all` does, the refiner reads the same reasons, and the case says what was
spared."""

import json

from hypothesis import given
from hypothesis import strategies as st

from services.contracts.case import Case, Usage
from services.contracts.recipe import Recipe, Routing
from services.core.ledger.calls import Outcome, Reply, Request
from services.llm.fake import ScriptedModels
from services.llm.scripted.seeded import fraction
from tests.pipeline.test_whole_case import Stream, path_of
from tests.strategies import recipe

RECIPE = recipe(Routing(max_unknown=9))


def models(seed: int, right: float, states: float) -> ScriptedModels:
    """Every reply is drawn by the seed and the place it is for: a path is right with `right`, and states its answer
    with `states`; the judge errs in a fifth of its verdicts."""

    def draw(*key: object) -> float:
        return fraction(seed, *key)

    def answer(request: Request) -> Outcome:
        where = (request.stage, request.seed)
        if request.stage in ("generate", "refine", "reason"):
            letter = "C" if draw("right", *where) < right else "D"
            line = f"\nFinal answer: {letter}" if draw("states", *where) < states else ""
            return reply(f"Because of {draw('text', *where)}, it is {letter}.{line}")
        if request.stage == "summarize":
            return reply("In short.")
        path = path_of(request.prompt)
        if request.stage == "score":
            return reply(json.dumps({"score": int(6 * draw("score", path)), "justification": "Weighed."}))
        correct = ("it is C" in path) == (draw("judge", path) < 0.8)
        return reply(json.dumps({"verdict": "Correct" if correct else "Error", "reason": f"On {path[:40]}"}))

    return ScriptedModels(answer)


def reply(text: str) -> Outcome:
    return Reply(text, "stop", Usage(prompt=1_000, completion=100))


async def ended(using: Recipe, drawn: tuple[int, float, float]) -> Stream:
    stream = Stream(models(*drawn), using)
    await stream.run()
    return stream


def calls(stream: Stream, *stages: str) -> int:
    return sum(request.stage in stages for request in stream.models.asked)


def spared(case: Case, by: str, stage: str) -> int:
    return sum(each.calls for each in case.spared if (each.by, each.stage) == (by, stage))


drawn = st.tuples(st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 1))


@given(drawn=drawn, audit=st.sampled_from([None, 0.0, 0.5, 1.0]), sampling=st.sampled_from(["full", "adaptive"]))
async def test_needed_and_all_end_alike(drawn: tuple[int, float, float], audit: float | None, sampling: str) -> None:
    every = await ended(RECIPE.with_(sampling=sampling), drawn)
    needed = await ended(RECIPE.with_(sampling=sampling, judge="needed", audit=audit), drawn)
    assert needed.route == every.route
    assert needed.last.difficulty == every.last.difficulty
    assert needed.last.gold_disputed == every.last.gold_disputed
    assert {record.chain for record in needed.records} == {record.chain for record in every.records}
    read = [[r.prompt for r in each.models.asked if r.stage in ("refine", "reason")] for each in (needed, every)]
    assert read[0] == read[1], "a refiner reads the same"
    for stage in ("verify", "score"):
        assert calls(every, stage) - calls(needed, stage) == spared(needed.last, "judging", stage)
    if audit == 1.0:
        assert calls(every, "verify") == calls(needed, "verify")


@given(drawn=drawn, judge=st.sampled_from(["all", "needed"]))
async def test_what_adaptive_sampling_spared_is_said(drawn: tuple[int, float, float], judge: str) -> None:
    full = await ended(RECIPE.with_(judge="all"), drawn)
    fewer = await ended(RECIPE.with_(sampling="adaptive", judge=judge), drawn)
    assert full.last.spared == ()
    assert calls(full, "generate") - calls(fewer, "generate") == spared(fewer.last, "sampling", "generate")
    if judge == "all":
        assert calls(full, "verify") - calls(fewer, "verify") == spared(fewer.last, "sampling", "verify")
    assert all(each.usd > 0 for each in fewer.last.spared)
    assert [record.spared for record in fewer.records][1:] == [()] * (len(fewer.records) - 1)
