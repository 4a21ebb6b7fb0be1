"""The router's rules for cases that come back from the refiner, as properties over generated cases."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.case import Case, Path
from services.contracts.recipe import Routing
from services.contracts.topics import CASE_ACCEPTED, CASE_DIFFICULT, CASE_MEDIUM, CASE_REJECTED
from services.core.case.paths import best, of_round, planned, rank
from services.core.messages import Emit
from services.router.routing_table import disputed, route
from tests import strategies
from tests.strategies import case, correct, failed, path, routings, unjudged, verified, wrong
from tests.unit.router.routing_cases import (
    back_from_difficult,
    back_from_medium,
    kept,
    nine,
    outcome,
    routed,
    scored,
)

ROUTING = Routing()


@given(case=back_from_medium(), routing=routings())
def test_refinement_never_makes_a_case_worse(case: Case, routing: Routing) -> None:
    rewritten = of_round(case, 1)
    found = outcome(case, routing)
    if all(made.standing == "unknown" for made in rewritten):
        assert found == "too_many_unknown"
        return
    assert isinstance(found, Emit)
    assert found.topic == CASE_ACCEPTED
    parents = [case.path(made.parents[0]) for made in rewritten]
    after = kept(found)
    assert len(after) == len(parents)
    assert [rank(made) for made in after] == sorted(map(rank, after), reverse=True), "best first"
    assert all(new >= old for new, old in zip(sorted(map(rank, after)), sorted(map(rank, parents)), strict=True))
    for made, parent in zip(rewritten, parents, strict=True):
        assert (made in after) != (parent in after), "the one or the other"
        if made in after:
            assert made.standing == "correct"
            assert made.score is not None
            assert made.score.value is not None
            assert rank(made) >= rank(parent)


def medium(parent: int | None, rewritten: Callable[[Path], Path]) -> Case:
    """Back from medium, with one correct path rewritten."""
    first = nine(scored(parent), scored(0))
    paths = [
        rewritten(path(first, 0, origin="refined", round=1, parents=(first.paths[0].path_id,))),
        wrong(path(first, 1, origin="refined", round=1, parents=(first.paths[1].path_id,))),
    ]
    return first.with_(paths=(*first.paths, *paths), rounds=1, difficulty="medium")


@pytest.mark.parametrize(
    ("parent", "rewritten", "replaced"),
    [
        (3, scored(4), True),
        (3, scored(3), True),
        (3, scored(2), False),
        (3, scored(None), False),
        (3, wrong, False),
        (3, unjudged, False),
        (3, failed, False),
        (None, scored(0), True),
        (None, scored(None), False),
    ],
)
def test_which_rewrites_replace_their_parent(
    parent: int | None, rewritten: Callable[[Path], Path], replaced: bool
) -> None:
    emit = route(medium(parent, rewritten), ROUTING)
    assert {made.origin for made in kept(emit)} == ({"generated", "refined"} if replaced else {"generated"})


def test_two_rewritten_into_the_same_text_do_not_cost_a_record() -> None:
    first = nine(scored(1), scored(1))
    paths = [
        correct(path(first, n, origin="refined", round=1, parents=(first.paths[n].path_id,), text="The same."), 5)
        for n in range(2)
    ]
    emit = route(first.with_(paths=(*first.paths, *paths), rounds=1, difficulty="medium"), ROUTING)
    assert [(made.origin, made.slot) for made in kept(emit)] == [("refined", 0), ("generated", 1)]


# --- back from difficult


@given(case=back_from_difficult(), routing=routings())
def test_the_strong_model_is_asked_until_it_is_right_or_its_rounds_are_used_up(case: Case, routing: Routing) -> None:
    last = of_round(case, case.rounds)
    found = outcome(case, routing)
    if all(made.standing == "unknown" for made in last):
        assert found == "too_many_unknown"
        return
    assert isinstance(found, Emit)
    if any(made.standing == "correct" for made in last):
        assert found.topic == CASE_ACCEPTED
        assert kept(found) == best(last, routing.keep)
    else:
        assert found.topic == (CASE_DIFFICULT if case.rounds < routing.rounds else CASE_REJECTED)


@given(routing=routings(), data=st.data())
def test_every_case_ends_within_its_rounds(routing: Routing, data: st.DataObject) -> None:
    """Whatever the models write and the judge says: followed to its end, with the refiner's part played here."""
    at = data.draw(strategies.first_verified())
    for round in range(1, routing.rounds + 2):
        found = outcome(at, routing)
        if not isinstance(found, Emit) or found.topic in (CASE_ACCEPTED, CASE_REJECTED):
            return
        at = routed(found)
        is_medium = found.topic == CASE_MEDIUM
        parents = best(planned(at), routing.keep) if is_medium else [None] * routing.strong_paths
        new = [
            data.draw(
                verified(
                    path(
                        at, slot, origin="refined" if is_medium else "regenerated", round=round,
                        parents=() if parent is None else (parent.path_id,),
                    )
                )
            )
            for slot, parent in enumerate(parents)
        ]  # fmt: skip
        at = at.with_(paths=(*at.paths, *new), rounds=round)
    raise AssertionError(f"still open after {at.rounds} rounds of {routing.rounds}")


# --- a gold answer in doubt


@pytest.mark.parametrize(
    ("stated", "doubted"),
    [
        (["B", "B", "B"], True),
        (["B", None, "B"], True),
        (["B", None, None], True),
        (["B", "D", "B"], False),
        (["B", "C", "B"], False),
        (["C", "C", "C"], False),
        ([None, None, None], False),
    ],
)
def test_gold_is_disputed_where_all_that_state_an_answer_state_the_same_other(
    stated: list[str | None], doubted: bool
) -> None:
    new = case()
    assert disputed([wrong(path(new, n), letter) for n, letter in enumerate(stated)], "C") == doubted


def test_the_dispute_is_recorded_and_kept() -> None:
    new = case()
    doubted = new.with_(paths=tuple(wrong(path(new, n), "B") for n in range(9)))
    at = routed(route(doubted, ROUTING))
    assert (at.difficulty, at.gold_disputed) == ("difficult", True)
    right = correct(path(at, 0, origin="regenerated", round=1))
    assert routed(route(at.with_(paths=(*at.paths, right), rounds=1), ROUTING)).gold_disputed
