"""The refiner's two lanes: the best paths rewritten, or a case reasoned again."""

from collections.abc import Awaitable, Callable

import pytest

from services.contracts.case import Case, Path, Usage
from services.contracts.recipe import Recipe
from services.contracts.topics import PATHS_GENERATED
from services.core.case.paths import of_round
from services.core.ledger.calls import Failure, Outcome, Reply, Request
from services.core.messages import Emit
from services.core.models import Models
from services.llm.fake import ScriptedModels
from services.refiner.handler import reason_again, refine
from tests.strategies import case, correct, failed, path, recipe, unjudged, wrong

RECIPE = recipe()
NEW = case()


def written(request: Request) -> Outcome:
    return Reply("Rewritten.", "stop", Usage(prompt=100, completion=20))


def reasoned(made: Path, reason: str) -> Path:
    assert made.verdict is not None
    return made.with_(verdict=made.verdict.with_(reason=reason))


MEDIUM = NEW.with_(
    paths=(
        reasoned(correct(path(NEW, 0), 2), "Sound but thin."),
        reasoned(correct(path(NEW, 1), 4), "Sound and full."),
        reasoned(correct(path(NEW, 2), 1), "Barely sound."),
        *(wrong(path(NEW, n)) for n in (3, 4, 5, 6)),
        unjudged(path(NEW, 7)),
        failed(path(NEW, 8)),
    ),
    difficulty="medium",
)
DIFFICULT = NEW.with_(
    paths=(correct(path(NEW, 0)), unjudged(path(NEW, 1)), *(wrong(path(NEW, n)) for n in range(2, 9))),
    difficulty="difficult",
)


def sections(request: Request) -> dict[str, str]:
    """What the prompt of `refine` says, by part: see tests/strategies.py."""
    rest, others = request.prompt.split("\nothers: ")
    rest, own = rest.split("\nown: ")
    return {"path": rest.split("<path>")[1].split("</path>")[0], "own": own, "others": others, "head": rest}


Lane = Callable[[Case, Recipe, Models], Awaitable[list[Emit]]]


def message(emits: list[Emit]) -> Case:
    (emit,) = emits
    assert emit.topic == PATHS_GENERATED
    assert emit.key == NEW.case_id
    found = emit.message
    assert isinstance(found, Case)
    return found


async def test_the_best_two_are_rewritten_with_their_own_and_the_others_reasons() -> None:
    models = ScriptedModels(written)
    done = message(list(await refine(MEDIUM, RECIPE, models)))
    best, second = map(sections, models.asked)
    assert (best["path"], best["own"]) == ("Path 1 of round 0.", "- Sound and full.")
    assert (second["path"], second["own"]) == ("Path 0 of round 0.", "- Sound but thin.")
    errors = [f"- Wrong in slot {n}." for n in (3, 4, 5, 6)]
    assert best["others"].splitlines() == ["- Sound but thin.", "- Barely sound.", *errors]
    assert second["others"].splitlines() == ["- Sound and full.", "- Barely sound.", *errors]
    assert "gold: C. Vitamin C" in best["head"]
    assert [(made.slot, made.parents) for made in of_round(done, 1)] == [
        (0, (MEDIUM.paths[1].path_id,)),
        (1, (MEDIUM.paths[0].path_id,)),
    ]


async def test_the_strong_model_gets_the_reasons_of_failed_paths() -> None:
    models = ScriptedModels(written)
    done = message(list(await reason_again(DIFFICULT, RECIPE, models)))
    reasons = {request.prompt.split("reasons: ")[1] for request in models.asked}
    assert reasons == {"\n".join(f"- Wrong in slot {n}." for n in range(2, 9))}
    errors = tuple(DIFFICULT.paths[n].path_id for n in range(2, 9))
    assert [made.parents for made in of_round(done, 1)] == [errors, errors]


async def test_the_strong_model_writes_so_many_paths_each_by_a_call_of_its_own() -> None:
    models = ScriptedModels(written)
    done = message(list(await reason_again(DIFFICULT, recipe(RECIPE.routing.with_(strong_paths=3)), models)))
    assert [made.slot for made in of_round(done, 1)] == [0, 1, 2]
    assert len({request.call_id for request in models.asked}) == 3


async def test_a_second_round_gets_the_reasons_of_the_first_and_makes_new_calls() -> None:
    models = ScriptedModels(written)
    once = message(list(await reason_again(DIFFICULT, RECIPE, models)))
    failed_again = once.with_(
        paths=tuple(made if made.round == 0 else reasoned(wrong(made), "Wrong again.") for made in once.paths)
    )
    twice = message(list(await reason_again(failed_again, RECIPE, models)))
    assert [request.prompt.endswith("- Wrong again.") for request in models.asked] == [False, False, True, True]
    assert len({request.call_id for request in models.asked}) == 4
    assert (twice.rounds, [made.slot for made in of_round(twice, 2)]) == (2, [0, 1])


@pytest.mark.parametrize(
    ("lane", "at", "origin", "alias"),
    [(refine, MEDIUM, "refined", "two"), (reason_again, DIFFICULT, "regenerated", "strong")],
)
async def test_new_paths_are_unverified_and_existing_ones_are_kept(
    lane: Lane, at: Case, origin: str, alias: str
) -> None:
    done = message(list(await lane(at, RECIPE, ScriptedModels(written))))
    assert done.paths[:9] == at.paths
    assert done.rounds == 1
    for made in done.paths[9:]:
        assert (made.origin, made.round, made.alias, made.standing) == (origin, 1, alias, "unverified")


async def test_a_second_round_is_a_new_call_even_where_it_has_nothing_new_to_tell() -> None:
    models = ScriptedModels(written)
    for rounds in (0, 1):
        await reason_again(DIFFICULT.with_(rounds=rounds), RECIPE, models)
    assert len({request.prompt for request in models.asked}) == 1
    assert len({request.call_id for request in models.asked}) == 4


@pytest.mark.parametrize(("lane", "at"), [(refine, MEDIUM), (reason_again, DIFFICULT)])
async def test_another_life_makes_new_calls(lane: Lane, at: Case) -> None:
    models = ScriptedModels(written)
    for life in (0, 1):
        await lane(at.with_(life=life), RECIPE, models)
    assert len({request.call_id for request in models.asked}) == len(models.asked) == 4


@pytest.mark.parametrize(("lane", "at"), [(refine, MEDIUM), (reason_again, DIFFICULT)])
async def test_a_call_that_failed_for_good_is_an_unknown_path(lane: Lane, at: Case) -> None:
    models = ScriptedModels(lambda request: Failure("refused"))
    done = message(await lane(at, RECIPE, models))
    assert [made.standing for made in of_round(done, 1)] == ["unknown", "unknown"]


async def test_an_interrupted_text_is_asked_for_again() -> None:
    half = Reply("Rewr", "other", Usage(), problem="interrupted: abort")
    for lane, of in ((refine, MEDIUM), (reason_again, DIFFICULT)):
        models = ScriptedModels(lambda request: half if request.ask[1] == 0 else written(request))
        done = of_round(message(await lane(of, RECIPE, models)), 1)
        assert [(made.text, len(made.calls)) for made in done] == [("Rewritten.", 2)] * 2
