"""The generator fills the plan's missing slots, and never sees gold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.case import Case, Usage
from services.contracts.question import Question
from services.contracts.topics import PATHS_GENERATED
from services.core.case import prompts
from services.core.case.paths import planned
from services.core.ledger.calls import Failure, Outcome, Reply, Request
from services.generator.handler import generate
from services.llm.fake import ScriptedModels
from tests.strategies import case, path, questions, recipe

RECIPE = recipe()


def written(request: Request) -> Outcome:
    return Reply(f"Text of seed {request.seed}.", "stop", Usage(prompt=100, completion=20))


async def generated(case: Case, models: ScriptedModels) -> Case:
    (emit,) = await generate(case, RECIPE, models)
    assert (emit.topic, emit.key) == (PATHS_GENERATED, case.case_id)
    assert isinstance(emit.message, Case)
    return emit.message


async def test_one_call_and_one_path_for_each_slot_of_the_plan() -> None:
    models = ScriptedModels(written)
    done = await generated(case(), models)
    assert [(made.slot, made.alias, made.temperature) for made in done.paths] == [
        (slot, planned_.alias, planned_.temperature) for slot, planned_ in enumerate(RECIPE.generate.plan)
    ]
    assert len({request.call_id for request in models.asked}) == 9
    assert [made.calls[0].call_id for made in done.paths] == [request.call_id for request in models.asked]
    assert all(made.standing == "unverified" for made in done.paths)


@given(there=st.lists(st.integers(0, 8), unique=True))
async def test_only_missing_slots_are_asked_for(there: list[int]) -> None:
    new = case()
    old = [path(new, slot) for slot in there]
    models = ScriptedModels(written)
    done = await generated(new.with_(paths=tuple(old)), models)
    assert len(models.asked) == 9 - len(there)
    assert [made.slot for made in planned(done)] == list(range(9))
    assert done.paths[: len(old)] == tuple(old)


async def test_a_call_that_failed_for_good_is_an_unknown_path() -> None:
    models = ScriptedModels(lambda request: Failure("refused") if request.alias == "two" else written(request))
    done = await generated(case(), models)
    assert [made.slot for made in done.paths if made.standing == "unknown"] == [1, 4, 7]
    assert done.paths[1].failure == "refused"
    assert done.paths[1].calls != ()


INTERRUPTED = Reply("Heparin is the right answer because it", "other", Usage(), problem="interrupted: abort")


async def test_an_interrupted_path_is_asked_for_again_and_both_calls_are_in_its_lineage() -> None:
    models = ScriptedModels(lambda request: INTERRUPTED if request.ask == (0, 0) else written(request))
    done = await generated(case(), models)
    assert all(made.standing == "unverified" and made.text.startswith("Text of") for made in done.paths)
    assert all([call.stage for call in made.calls] == ["generate", "generate"] for made in done.paths)
    assert len({call.call_id for made in done.paths for call in made.calls}) == 18


async def test_a_path_that_is_always_interrupted_is_unknown_and_has_no_text() -> None:
    done = await generated(case(), ScriptedModels(lambda request: INTERRUPTED))
    assert {(made.standing, made.text, made.failure) for made in done.paths} == {("unknown", "", "interrupted: abort")}
    assert {len(made.calls) for made in done.paths} == {RECIPE.max_asks}


@pytest.mark.parametrize(
    ("reply", "why", "asks"),
    [
        (Reply("", "stop", Usage()), "no text: the reply is empty (finish reason stop)", RECIPE.max_asks),
        (Reply("", "length", Usage(), "hm"), "no text: all of the reply is thinking (finish reason length)", 1),
        (Reply("", "stop", Usage(), problem="the model refused: no"), "the model refused: no", 1),
    ],
)
async def test_an_empty_reply_and_a_refusal_are_unknown_not_in_error(reply: Reply, why: str, asks: int) -> None:
    done = await generated(case(), ScriptedModels(lambda request: reply))
    assert {(made.standing, made.failure, len(made.calls)) for made in done.paths} == {("unknown", why, asks)}


async def test_another_life_makes_new_calls() -> None:
    models = ScriptedModels(written)
    await generated(case(), models)
    await generated(case(life=1), models)
    assert len({request.call_id for request in models.asked}) == 18


async def test_the_same_case_asks_the_same() -> None:
    models = ScriptedModels(written)
    assert await generated(case(), models) == await generated(case(), models)
    assert len({request.call_id for request in models.asked}) == 9


@given(question=questions())
async def test_nothing_that_is_asked_depends_on_which_option_is_gold(question: Question) -> None:
    """So gold can't be in it: every letter as gold asks the same prompts."""
    asked = set()
    for letter in question.options:
        models = ScriptedModels(written)
        trap = question.with_(answer=letter, question=question.question + " {gold}")
        await generated(case(trap), models)
        asked.add(tuple(request.prompt for request in models.asked))
    assert len(asked) == 1
    assert all(prompts.question_block(question)[:10] in prompt for prompt in asked.pop())
