"""The router's rule: the table of the design, as properties over generated cases."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.contracts.case import Case
from services.contracts.recipe import Routing
from services.contracts.topics import CASE_ACCEPTED, CASE_DIFFICULT, CASE_MEDIUM, CASE_REJECTED
from services.core.case.paths import best, planned, wording
from services.core.case.sampling import classify
from services.core.errors import Dead
from services.core.messages import Emit
from services.router.routing_table import route
from tests import strategies
from tests.strategies import failed, path, routings, unjudged, wrong
from tests.unit.router.routing_cases import (
    any_case,
    count,
    kept,
    nine,
    outcome,
    routed,
    scored,
)

ROUTING = Routing()


# --- for every case


@given(case=any_case, routing=routings())
def test_exactly_one_message_or_a_dead_letter_that_can_be_redriven(case: Case, routing: Routing) -> None:
    match outcome(case, routing):
        case str() as kind:
            assert kind == "too_many_unknown"
        case emit:
            assert emit.topic in (CASE_ACCEPTED, CASE_MEDIUM, CASE_DIFFICULT, CASE_REJECTED)
            assert emit.key == case.case_id


@given(case=any_case, routing=routings())
def test_only_accepted_cases_keep_paths_and_those_are_verified_and_differ(case: Case, routing: Routing) -> None:
    emit = outcome(case, routing)
    assume(isinstance(emit, Emit))
    assert isinstance(emit, Emit)
    assert (kept(emit) != []) == (emit.topic == CASE_ACCEPTED)
    assert all(made.standing == "correct" for made in kept(emit))
    assert len({wording(made) for made in kept(emit)}) == len(kept(emit))
    assert (routed(emit).rejected is not None) == (emit.topic == CASE_REJECTED)


@given(case=any_case, routing=routings(), data=st.data())
def test_the_order_of_the_paths_changes_nothing(case: Case, routing: Routing, data: st.DataObject) -> None:
    shuffled = case.with_(paths=tuple(data.draw(st.permutations(case.paths))))
    one, other = outcome(case, routing), outcome(shuffled, routing)
    if isinstance(one, Emit) and isinstance(other, Emit):
        assert other.topic == one.topic
        assert routed(other).with_(paths=()) == routed(one).with_(paths=())
    else:
        assert one == other


@given(case=any_case, routing=routings())
def test_routing_adds_what_was_decided_and_changes_nothing_else(case: Case, routing: Routing) -> None:
    emit = outcome(case, routing)
    assume(isinstance(emit, Emit))
    assert isinstance(emit, Emit)
    decided = {"kept": (), "rejected": None, "difficulty": None, "gold_disputed": False}
    assert routed(emit).with_(**decided) == case.with_(**decided)


# --- the first time


@given(case=strategies.first_verified(), routing=routings())
def test_the_number_of_correct_paths_decides_unless_too_many_are_unknown(case: Case, routing: Routing) -> None:
    found = outcome(case, routing)
    if count(case, "unknown") > routing.max_unknown:
        assert found == "too_many_unknown"
        return
    assert isinstance(found, Emit)
    right = count(case, "correct")
    if right >= routing.easy:
        assert (found.topic, routed(found).difficulty) == (CASE_ACCEPTED, "easy")
        assert kept(found) == best(planned(case), routing.keep)
    elif right >= routing.medium:
        assert (found.topic, routed(found).difficulty) == (CASE_MEDIUM, "medium")
    else:
        assert (found.topic, routed(found).difficulty) == (CASE_DIFFICULT, "difficult")


PAPER = {**dict.fromkeys(range(5), "easy"), **dict.fromkeys((5, 6, 7), "medium"), 8: "difficult", 9: "difficult"}


@pytest.mark.parametrize(("errors", "difficulty"), PAPER.items())
def test_the_papers_thresholds(errors: int, difficulty: str) -> None:
    assert classify(9 - errors, ROUTING) == difficulty


def test_easy_keeps_the_best_two_ties_in_plan_order() -> None:
    emit = route(nine(scored(3), scored(4), scored(None), scored(5), scored(4)), ROUTING)
    assert [made.slot for made in kept(emit)] == [3, 1]


def test_easy_keeps_one_where_all_say_the_same() -> None:
    same = nine(*[scored(3)] * 5)
    emit = route(same.with_(paths=tuple(made.with_(text="The same.") for made in same.paths)), ROUTING)
    assert [made.slot for made in kept(emit)] == [0]


def test_two_unknown_are_borne_three_are_not() -> None:
    assert route(nine(unjudged, failed, *[scored(3)] * 5), ROUTING).topic == CASE_ACCEPTED
    with pytest.raises(Dead, match="3 of 9 paths are unknown, 2 may be"):
        route(nine(unjudged, failed, unjudged, *[scored(3)] * 5), ROUTING)


def test_a_lone_correct_path_of_the_plan_is_no_candidate() -> None:
    lone = nine(scored(5))
    assert route(lone, ROUTING).topic == CASE_DIFFICULT
    again = lone.with_(
        paths=(*lone.paths, wrong(path(lone, 0, origin="regenerated", round=1))), rounds=1, difficulty="difficult"
    )
    assert route(again, Routing(rounds=1)).topic == CASE_REJECTED


# --- back from medium
