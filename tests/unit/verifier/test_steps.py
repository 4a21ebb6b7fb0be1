"""Verdicts of steps: read as the judge says it or not at all, in the same number of calls."""

import json
from collections.abc import Callable
from pathlib import Path as File
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.case import Case, Path, StepError, Steps, Usage
from services.contracts.recipe import Recipe
from services.core.case.steps import step_ends
from services.core.ledger.calls import Outcome, Reply, Request
from services.llm.fake import ScriptedModels
from services.verifier.handler import verify
from services.verifier.replies import Judged, verdict_of_steps
from services.verifier.verdict_schema import KINDS, STEPS_AND_SCORE_SCHEMA, STEPS_SCHEMA
from tests.bench.bench_steps import counts_of, read, saved
from tests.strategies import case, path, recipe

USAGE = Usage(prompt=10, completion=5)
ENDS = (4, 9, 20)
WRONG: dict[str, Any] = {"step": 2, "kind": "wrong_fact", "severity": "serious", "reason": "No."}
TEXT = "Citrus cures it. Vitamin B12 does not.\n\nFinal answer: C"
STEPS = "[1] Citrus cures it.\n[2] Vitamin B12 does not.\n[3] Final answer: C"
REPLIES = saved(File(__file__).parents[2] / "data" / "step_replies.jsonl.gz")

errors = st.fixed_dictionaries(
    {
        "step": st.integers(1, 3),
        "kind": st.sampled_from(KINDS),
        "severity": st.sampled_from(["minor", "moderate", "serious", "critical"]),
        "reason": st.text(st.characters(exclude_categories=["Cs", "P"]), max_size=40),
    }
)


def said(errors: object, verdict: str) -> str:
    return json.dumps({"errors": errors, "verdict": verdict, "reason": "So."})


def judged(text: str) -> Judged | None:
    return verdict_of_steps(Reply(text, "stop", USAGE), ENDS)


@given(listed=st.lists(errors, max_size=5))
def test_replies_of_the_schema_are_read_as_they_are(listed: list[dict[str, Any]]) -> None:
    text = said(listed, "Error" if listed else "Correct")
    jsonschema.validate(json.loads(text), STEPS_SCHEMA)
    expected = tuple(StepError(**error | {"reason": error["reason"].strip()}) for error in listed)
    assert judged(text) == Judged("error" if listed else "correct", "So.", Steps(ends=ENDS, errors=expected))


@pytest.mark.parametrize(
    "text",
    [
        said([WRONG], "Correct"),
        said([], "Error"),
        said([WRONG | {"step": 4}], "Error"),
        said([WRONG | {"step": 0}], "Error"),
        said([WRONG | {"step": "two"}], "Error"),
        said([WRONG, WRONG | {"step": 9}], "Error"),
        said([WRONG | {"kind": "bad_style"}], "Error"),
        said([WRONG | {"severity": "huge"}], "Error"),
        said(["step 2"], "Error"),
        said(WRONG, "Error"),
        said(None, "Correct"),
        json.dumps({"verdict": "Correct", "reason": "So."}),
        said([WRONG], "Error")[:-40],
        said([WRONG], "Error").replace('"step": 2', '"step": 2, "step": 3'),
        said([WRONG], "Error").replace('"step": 2', '"step": 2 or 3'),
        said([WRONG | {"reason": 'not "step": 3'}], "Error").replace('\\"', '"'),
        said([WRONG], "Error") + said([WRONG | {"step": 3}], "Error"),
    ],
)
def test_what_contradicts_itself_or_is_unclear_is_unreadable(text: str) -> None:
    assert judged(text) is None


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{said([WRONG], 'Error')}\n```",
        said([WRONG], "Error").replace('"', "'"),
        said([WRONG | {"step": "2", "kind": "Wrong fact", "severity": "Serious."}], "Error"),
        said([WRONG], "Error").replace("}]", "},]"),
        said([{"Step": 2, "Kind": "wrong_fact", "Severity": "serious", "Reason": "No."}], "ERROR"),
    ],
)
def test_broken_but_clear_replies_are_read(text: str) -> None:
    assert judged(text) == Judged("error", "So.", Steps(ends=ENDS, errors=(StepError(**WRONG),)))


def test_what_a_small_real_model_writes_without_a_schema() -> None:
    """Sixty replies of one run of bench_steps.py. None crashes the reader, none becomes a step that the text lacks."""
    counts = counts_of(REPLIES)
    assert (counts["replies"], counts["crashed"], counts["not_held"]) == (60, 0, 0)
    assert counts["read"] > 0


def test_a_reply_that_is_cut_off_anywhere_says_the_same_steps_or_nothing() -> None:
    for steps, text in REPLIES:
        whole = read(steps, text)
        if whole is not None:
            cut = [read(steps, text[:end]) for end in range(len(text))]
            assert all(each is None or each.steps == whole.steps for each in cut)


# --- in the verifier

CASE = case()
TWO_CALLS = recipe(verdict="steps", verify=recipe().verify.with_(prompt="{question}\n{gold}\n<path>{steps}</path>"))
ONE_CALL = TWO_CALLS.with_(score=None)


def judge(*listed: dict[str, Any]) -> Callable[[Request], Outcome]:
    def answer(request: Request) -> Outcome:
        assert request.schema is not None
        whole: dict[str, Any] = {"errors": listed, "verdict": "Error" if listed else "Correct", "reason": "So."}
        whole |= {"score": 4, "justification": "-"}
        return Reply(json.dumps({name: whole[name] for name in request.schema["required"]}), "stop", USAGE)

    return answer


async def verified(text: str, answer: Callable[[Request], Outcome], of: Recipe) -> tuple[Path, ScriptedModels]:
    models = ScriptedModels(answer)
    (emit,) = await verify(CASE.with_(paths=(path(CASE, 0, text=text),)), of, models)
    assert isinstance(emit.message, Case)
    return emit.message.paths[0], models


@pytest.mark.parametrize("of", [TWO_CALLS, ONE_CALL], ids=["two calls", "one call"])
async def test_the_judge_is_shown_the_steps_and_names_those_in_error_in_the_same_call(of: Recipe) -> None:
    done, models = await verified(TEXT, judge(WRONG), of)
    (asked,) = models.asked
    assert f"<path>{STEPS}</path>" in asked.prompt
    assert asked.schema == (STEPS_SCHEMA if of is TWO_CALLS else STEPS_AND_SCORE_SCHEMA)
    assert done.verdict is not None
    assert done.verdict.steps == Steps(ends=step_ends(TEXT), errors=(StepError(**WRONG),))
    assert (done.standing, [call.stage for call in done.calls]) == ("error", ["verify"])


@pytest.mark.parametrize("of", [TWO_CALLS, ONE_CALL], ids=["two calls", "one call"])
async def test_a_correct_path_has_steps_and_none_in_error(of: Recipe) -> None:
    done, _ = await verified(TEXT, judge(), of)
    assert done.verdict is not None
    assert done.verdict.steps == Steps(ends=step_ends(TEXT))
    assert done.score is not None
    assert done.score.value == 4


@pytest.mark.parametrize("of", [TWO_CALLS, ONE_CALL], ids=["two calls", "one call"])
async def test_a_verdict_that_contradicts_its_steps_is_asked_for_again(of: Recipe) -> None:
    done, models = await verified(TEXT, judge(WRONG | {"step": 4}), of)
    assert (done.standing, len(models.asked)) == ("unknown", of.max_asks)


async def test_the_steps_of_a_judge_that_missed_a_wrong_answer_are_not_kept() -> None:
    wrong_answer = TEXT.replace("answer: C", "answer: D")
    missed, _ = await verified(wrong_answer, judge(), TWO_CALLS)
    found, _ = await verified(wrong_answer, judge(WRONG), TWO_CALLS)
    assert missed.verdict is not None
    assert found.verdict is not None
    assert (missed.standing, missed.verdict.steps) == ("error", None)
    assert found.verdict.steps is not None
    assert found.verdict.by == "stated_answer"


async def test_a_verdict_without_steps_has_no_such_field() -> None:
    done, _ = await verified(TEXT, lambda _: Reply('{"verdict": "Error", "reason": "So."}', "stop", USAGE), recipe())
    assert done.verdict is not None
    assert "steps" not in done.verdict.model_dump(mode="json")
