"""The verifier: every path a verdict, every correct one a score; nothing paid for that need not be."""

import json
from collections.abc import Callable

import pytest

from services.contracts.case import Case, Path, Usage
from services.contracts.recipe import Recipe
from services.contracts.topics import PATHS_VERIFIED
from services.core.ledger.calls import Failure, Outcome, Reply, Request
from services.llm.fake import ScriptedModels
from services.verifier.handler import verify
from tests.strategies import case, correct, path, recipe, wrong

RECIPE = recipe()
COMBINED = recipe(score=None)
USAGE = Usage(prompt=10, completion=5)


def say(**fields: object) -> Outcome:
    return Reply(json.dumps(fields), "stop", USAGE)


def judge(verdict: str = "Correct", score: int = 4) -> Callable[[Request], Outcome]:
    """A judge that says the same of every path, in each of its three forms."""

    def answer(request: Request) -> Outcome:
        assert request.schema is not None
        whole = {"verdict": verdict, "reason": f"{verdict}.", "score": score, "justification": "So-so."}
        return say(**{name: whole[name] for name in request.schema["required"]})

    return answer


def never(request: Request) -> Outcome:
    raise AssertionError(f"paid for {request.stage}")


async def verified(made: Path | list[Path], answer: Callable[[Request], Outcome], of: Recipe = RECIPE) -> list[Path]:
    paths = made if isinstance(made, list) else [made]
    (emit,) = await verify(CASE.with_(paths=tuple(paths)), of, ScriptedModels(answer))
    assert (emit.topic, emit.key) == (PATHS_VERIFIED, CASE.case_id)
    assert isinstance(emit.message, Case)
    return list(emit.message.paths)


CASE = case()
NEW = path(CASE, 0)


def states(letter: str) -> Path:
    return NEW.with_(text=f"Because.\nFinal answer: {letter}")


# --- without a judge


@pytest.mark.parametrize(
    ("made", "outcome", "by"),
    [
        (NEW.with_(text=""), "unjudged", "empty"),
        (NEW.with_(text=" \n"), "unjudged", "empty"),
        (NEW.with_(finish_reason="other"), "unjudged", "failure"),
        (states("C").with_(finish_reason="other"), "unjudged", "failure"),
        (states("E"), "error", "stated_answer"),
        (NEW.with_(text="So.\nFinal answer: None of the above"), "error", "stated_answer"),
        (NEW.with_(finish_reason="length"), "error", "cut_off"),
        (NEW.with_(text="", finish_reason="length"), "unjudged", "empty"),
        (states("C").with_(finish_reason="length"), "error", "cut_off"),
        (NEW.with_(text="", finish_reason=None, failure="refused"), "unjudged", "failure"),
        (path(CASE, 0, origin="refined", round=1, text="By the reference answer, C."), "error", "leak"),
        (path(CASE, 0, origin="regenerated", round=1, text="I was told the answer."), "error", "leak"),
    ],
)
@pytest.mark.parametrize("of", [RECIPE, COMBINED], ids=["two calls", "one call"])
async def test_no_judge_is_paid_for_what_needs_none(made: Path, outcome: str, by: str, of: Recipe) -> None:
    (done,) = await verified(made, never, of)
    assert done.verdict is not None
    assert (done.verdict.outcome, done.verdict.by, done.verdict.judged) == (outcome, by, None)
    assert done.score is None
    assert done.calls == made.calls


async def test_a_generated_path_that_speaks_of_a_reference_answer_was_shown_none() -> None:
    (done,) = await verified(NEW.with_(text="The reference answer must be C."), judge())
    assert done.standing == "correct"


async def test_verified_paths_are_unchanged() -> None:
    old = [correct(NEW), wrong(path(CASE, 1))]
    assert await verified(old, never) == old


# --- with one


@pytest.mark.parametrize("of", [RECIPE, COMBINED], ids=["two calls", "one call"])
async def test_a_correct_path_has_its_verdict_its_score_and_their_calls(of: Recipe) -> None:
    (done,) = await verified(NEW, judge("Correct", 4), of)
    assert done.verdict is not None
    assert done.score is not None
    assert (done.verdict.outcome, done.verdict.by, done.verdict.reason) == ("correct", "judge", "Correct.")
    assert (done.score.value, done.score.justification) == (4, "So-so.")
    assert [call.stage for call in done.calls] == (["verify", "score"] if of is RECIPE else ["verify"])


@pytest.mark.parametrize("of", [RECIPE, COMBINED], ids=["two calls", "one call"])
async def test_a_path_in_error_is_never_scored(of: Recipe) -> None:
    (done,) = await verified(NEW, judge("Error"), of)
    assert (done.standing, done.score, [call.stage for call in done.calls]) == ("error", None, ["verify"])


@pytest.mark.parametrize("of", [RECIPE, COMBINED], ids=["two calls", "one call"])
@pytest.mark.parametrize("said", ["Correct", "Error"])
async def test_another_answer_than_gold_is_an_error_whatever_the_judge_says(of: Recipe, said: str) -> None:
    (done,) = await verified(states("D"), judge(said), of)
    assert done.verdict is not None
    assert (done.verdict.outcome, done.verdict.by) == ("error", "stated_answer")
    assert (done.verdict.judged, done.verdict.stated) == (said.casefold(), "D"), "the disagreement is recorded"
    assert done.verdict.reason.startswith("The text states D")
    assert done.verdict.reason.endswith("Error.") == (said == "Error")
    assert done.score is None
    assert [call.stage for call in done.calls] == ["verify"]


@pytest.mark.parametrize("text", ["Final answer: C", "No word of an answer."])
async def test_gold_stated_or_none_is_no_opinion(text: str) -> None:
    for said in ("Correct", "Error"):
        (done,) = await verified(NEW.with_(text=text), judge(said))
        assert done.verdict is not None
        assert (done.verdict.outcome, done.verdict.by) == (said.casefold(), "judge")


@pytest.mark.parametrize("of", [RECIPE, COMBINED], ids=["two calls", "one call"])
async def test_an_unreadable_verdict_is_requested_again_and_then_unjudged(of: Recipe) -> None:
    (done,) = await verified(NEW, lambda request: Reply("Hm.", "stop", USAGE), of)
    assert done.verdict is not None
    assert (done.verdict.outcome, done.verdict.by) == ("unjudged", "failure")
    assert "no reply could be read in 3 asks" in done.verdict.reason
    assert len({call.call_id for call in done.calls}) == RECIPE.max_asks
    assert done.standing == "unknown"


async def test_the_second_ask_may_be_read() -> None:
    def once_unclear(request: Request) -> Outcome:
        return Reply("Hm.", "stop", USAGE) if request.ask[1] == 0 else judge()(request)

    (done,) = await verified(NEW, once_unclear)
    assert (done.standing, [call.stage for call in done.calls]) == ("correct", ["verify"] * 2 + ["score"] * 2)


async def test_two_verdicts_that_conflict_are_unreadable() -> None:
    conflict = Reply('{"verdict": "Correct"} {"verdict": "Error"}', "stop", USAGE)
    (done,) = await verified(NEW, lambda request: conflict)
    assert done.standing == "unknown"


async def test_a_judge_that_failed_leaves_the_path_unjudged_unless_it_states_another_answer() -> None:
    def failing(request: Request) -> Outcome:
        return Failure("refused")

    (silent,) = await verified(NEW, failing)
    (other,) = await verified(states("D"), failing)
    assert silent.verdict is not None
    assert other.verdict is not None
    assert (silent.verdict.outcome, silent.verdict.reason) == ("unjudged", "refused")
    assert (other.verdict.outcome, other.verdict.by, other.verdict.judged) == ("error", "stated_answer", None)


async def test_a_score_that_cannot_be_read_has_no_value_and_is_not_0() -> None:
    def unclear(request: Request) -> Outcome:
        return judge()(request) if request.stage == "verify" else say(score="high")

    (done,) = await verified(NEW, unclear)
    assert done.standing == "correct"
    assert done.score is not None
    assert (done.score.value, done.score.justification) == (None, "no reply could be read in 3 asks")
    assert [call.stage for call in done.calls] == ["verify", "score", "score", "score"]


async def test_in_one_call_a_verdict_is_kept_though_its_score_cannot_be_read() -> None:
    (done,) = await verified(NEW, lambda request: say(verdict="Correct", reason="Fine.", score="high"), COMBINED)
    assert done.standing == "correct"
    assert done.score is not None
    assert (done.score.value, len(done.calls)) == (None, 1)


async def test_in_one_call_an_error_needs_no_score() -> None:
    (done,) = await verified(NEW, lambda request: say(verdict="Error", reason="No."), COMBINED)
    assert (done.standing, len(done.calls)) == ("error", 1)


async def test_another_life_makes_new_calls() -> None:
    models = ScriptedModels(judge())
    for life in (0, 1):
        await verify(CASE.with_(paths=(NEW,), life=life), RECIPE, models)
    assert len({request.call_id for request in models.asked}) == len(models.asked) == 4


async def test_each_path_gets_its_own_verdict() -> None:
    def by_text(request: Request) -> Outcome:
        return judge("Error" if "<path>Path 1 " in request.prompt else "Correct")(request)

    paths = [path(CASE, slot) for slot in (2, 0, 1)]
    done = await verified(paths, by_text)
    assert [(made.slot, made.standing) for made in done] == [(2, "correct"), (0, "correct"), (1, "error")]


async def test_text_of_a_path_is_not_a_placeholder() -> None:
    asked = ScriptedModels(judge())
    await verify(CASE.with_(paths=(NEW.with_(text="{gold} {question}"),)), RECIPE, asked)
    assert all("<path>{gold} {question}</path>" in request.prompt for request in asked.asked)
