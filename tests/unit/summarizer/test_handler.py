"""The summarizer: a record for each kept path, with its lineage and its share of what the case cost."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.case import Call, Case, Path, Usage
from services.contracts.question import Question
from services.contracts.record import Record
from services.contracts.topics import RECORD_COMPLETED
from services.core import ids
from services.core.errors import Dead
from services.core.ledger.calls import Failure, Outcome, Reply, Request
from services.llm.fake import ScriptedModels
from services.summarizer.handler import summarize
from tests import strategies
from tests.strategies import case, correct, path, questions, recipe, wrong

RECIPE = recipe()
SUMMARY_USAGE = Usage(prompt=1_000, completion=100, cached=500)


def condensed(request: Request) -> Outcome:
    return Reply("In short.", "stop", SUMMARY_USAGE)


def call(name: str, stage: Any, alias: str = "one") -> Call:
    return Call(call_id=ids.digest("call", name), stage=stage, alias=alias, usage=Usage(prompt=100, completion=10))


def accepted(question: Question = strategies.QUESTION) -> Case:
    """A medium case: slot 1 stays, slot 0 was rewritten."""
    new = case(question)
    first = correct(path(new, 0, calls=(call("g0", "generate"), call("v0", "verify"))), 2)
    second = correct(path(new, 1, calls=(call("g1", "generate", "two"),)), 3)
    third = wrong(path(new, 2, calls=(call("g2", "generate"),)))
    better = path(
        new, 0, origin="refined", round=1, alias="two", parents=(first.path_id,), calls=(call("r0", "refine", "two"),)
    )
    return new.with_(
        paths=(first, second, third, correct(better, 5)),
        difficulty="medium",
        rounds=1,
        kept=(better.path_id, second.path_id),
    )


async def records(of: Case, models: ScriptedModels | None = None) -> list[Record]:
    emits = await summarize(of, RECIPE, models or ScriptedModels(condensed))
    assert all((emit.topic, emit.key) == (RECORD_COMPLETED, of.case_id) for emit in emits)
    found = [emit.message for emit in emits]
    assert all(isinstance(record, Record) for record in found)
    return [record for record in found if isinstance(record, Record)]


async def test_a_record_for_each_kept_path_best_first() -> None:
    of = accepted()
    refined, plain = await records(of)
    assert [refined.path_id, plain.path_id] == list(of.kept)
    assert [(record.index, record.of) for record in (refined, plain)] == [(0, 2), (1, 2)]
    assert refined.record_id == ids.record_id(of.work_id, refined.path_id) != plain.record_id
    assert (refined.chain, refined.summary) == ("Path 0 of round 1.", "In short.")
    assert (refined.origin, refined.alias, refined.model) == ("refined", "two", "org/two@r1")
    assert (refined.score.value, refined.verdict.outcome) == (5, "correct")


async def test_a_record_names_the_calls_it_rests_on_its_parents_first() -> None:
    models = ScriptedModels(condensed)
    refined, plain = await records(accepted(), models)
    summaries = [request.call_id for request in models.asked]
    named = [[made.call_id for made in record.calls] for record in (refined, plain)]
    assert named == [
        [ids.digest("call", name) for name in ("g0", "v0", "r0")] + summaries[:1],
        [ids.digest("call", "g1"), *summaries[1:]],
    ]


async def test_usage_counts_the_whole_case_and_its_own_summary() -> None:
    refined, _ = await records(accepted())
    assert refined.usage == {
        "generate": Usage(prompt=300, completion=30),
        "verify": Usage(prompt=100, completion=10),
        "refine": Usage(prompt=100, completion=10),
        "summarize": SUMMARY_USAGE,
    }


def price(made: Call) -> float:
    model = RECIPE.models[made.alias]
    return (made.usage.prompt * model.price_in + made.usage.completion * model.price_out) / 1e6


@given(paid=st.lists(st.lists(strategies.calls(), max_size=5), min_size=1, max_size=4))
async def test_the_records_of_a_case_cost_what_the_case_cost(paid: list[list[Call]]) -> None:
    new = case()
    paths = [correct(path(new, slot, calls=tuple(calls))) for slot, calls in enumerate(paid)]
    models = ScriptedModels(condensed)
    made = await records(
        new.with_(paths=tuple(paths), difficulty="easy", kept=tuple(each.path_id for each in paths)), models
    )
    unique = {each.call_id: each for calls in paid for each in calls}
    summaries = [each for record in made for each in record.calls if each.stage == "summarize"]
    assert len(summaries) == len(paths)
    whole = sum(map(price, [*unique.values(), *summaries]))
    assert sum(sum(record.cost.values()) for record in made) == pytest.approx(whole)


async def test_a_call_that_two_paths_name_is_paid_for_once() -> None:
    of = accepted()
    twice = of.with_(paths=tuple(made.with_(calls=(*made.calls, call("g0", "generate"))) for made in of.paths))
    assert [record.cost for record in await records(twice)] == [record.cost for record in await records(of)]


@pytest.mark.parametrize(
    "unusable",
    [
        Reply("", "stop", Usage()),
        Reply(" \n", "stop", Usage()),
        Reply("In sh", "length", Usage()),
        Reply("In sh", "other", Usage(), problem="interrupted: abort"),
    ],
)
async def test_a_summary_that_is_empty_cut_off_or_interrupted_is_asked_for_again(unusable: Reply) -> None:
    models = ScriptedModels(lambda request: unusable if request.ask[1] == 0 else condensed(request))
    refined, _ = await records(accepted(), models)
    assert refined.summary == "In short."
    assert refined.usage["summarize"] == SUMMARY_USAGE
    assert [made.stage for made in refined.calls].count("summarize") == 2


@pytest.mark.parametrize("outcome", [Reply("", "stop", Usage()), Failure("refused")])
async def test_a_case_of_which_one_record_has_no_summary_is_dead_whole(outcome: Outcome) -> None:
    models = ScriptedModels(lambda request: outcome if "Path 1" in request.prompt else condensed(request))
    with pytest.raises(Dead, match="no summary of path-") as raised:
        await records(accepted(), models)
    assert raised.value.kind == "no_summary"


async def test_another_life_makes_new_calls() -> None:
    models = ScriptedModels(condensed)
    for life in (0, 1):
        await records(accepted().with_(life=life), models)
    assert len({request.call_id for request in models.asked}) == len(models.asked) == 4


@given(question=questions())
async def test_nothing_that_is_asked_depends_on_which_option_is_gold(question: Question) -> None:
    asked = set()
    for letter in question.options:
        models = ScriptedModels(condensed)
        await records(accepted(question.with_(answer=letter, question=question.question + "{gold}")), models)
        asked.add(tuple(request.prompt for request in models.asked))
    assert len(asked) == 1


async def test_an_unscored_path_keeps_that_in_its_record() -> None:
    of = accepted()

    def unscored(made: Path) -> Path:
        return made.with_(score=None)

    refined, _ = await records(of.with_(paths=tuple(map(unscored, of.paths))))
    assert refined.score.value is None
