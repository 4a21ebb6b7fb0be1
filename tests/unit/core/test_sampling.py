"""Adaptive sampling decides as the full plan does, whatever the replies and their order."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.case import Case, Verdict
from services.contracts.recipe import Recipe, Routing
from services.core import ids
from services.core.case.sampling import classify, fewest, next_slots, order
from services.core.errors import Dead
from services.router.routing_table import more_paths, route
from tests.strategies import case, path, recipe

FULL = recipe()
ADAPTIVE = FULL.with_(sampling="adaptive")
PLAN = len(FULL.generate.plan)
OUTCOMES = ("correct", "error", "unjudged")


def verified(of: Case, slot: int, outcome: str) -> Case:
    verdict = Verdict(outcome=outcome, reason="", by="judge")
    return of.with_(paths=(*of.paths, path(of, slot).with_(verdict=verdict)))


def sampled(start: Case, outcome_of: Callable[[int], str], using: Recipe) -> Case:
    """The case once no more paths are asked for."""
    now = start
    while slots := next_slots(now, using):
        for slot in slots:
            now = verified(now, slot, outcome_of(slot))
    return now


def all_of(start: Case, outcomes: Sequence[str]) -> Case:
    for slot, outcome in enumerate(outcomes):
        start = verified(start, slot, outcome)
    return start


@st.composite
def routings(draw: st.DrawFn) -> Routing:
    easy = draw(st.integers(1, PLAN))
    medium = draw(st.integers(1, easy))
    return Routing(easy=easy, medium=medium, keep=draw(st.integers(1, 4)), max_unknown=PLAN)


@given(
    outcomes=st.lists(st.sampled_from(OUTCOMES), min_size=PLAN, max_size=PLAN),
    routing=routings(),
    case_number=st.integers(0, 10_000),
)
def test_the_route_is_that_of_the_full_plan(outcomes: list[str], routing: Routing, case_number: int) -> None:
    using = ADAPTIVE.with_(routing=routing)
    start = case().with_(case_id=ids.digest("case", case_number))
    fewer = sampled(start, outcomes.__getitem__, using)
    emitted, whole = route(fewer, routing), route(all_of(start, outcomes), routing)
    assert emitted.topic == whole.topic
    assert isinstance(emitted.message, Case)
    assert isinstance(whole.message, Case)
    assert emitted.message.difficulty == whole.message.difficulty
    assert len(emitted.message.kept) == len(whole.message.kept)


@given(routing=routings(), correct=st.integers(0, PLAN), left=st.integers(0, PLAN))
def test_no_fewer_paths_could_decide(routing: Routing, correct: int, left: int) -> None:
    """By trying every number of further paths, and every number of correct ones among them."""

    def decided(more: int, right: int) -> bool:
        now, rest = correct + right, left - more
        same = classify(now, routing) == classify(now + rest, routing)
        return same and (rest == 0 or now < routing.medium or now >= routing.keep)

    could = [more for more in range(left + 1) if any(decided(more, right) for right in range(more + 1))]
    found = fewest(correct, left, routing)
    assert found <= left
    assert (found == 0) == (left == 0 or decided(0, 0))
    if not decided(0, 0) and left:
        assert 1 <= found <= could[0]


def test_with_more_unknown_paths_than_allowed_nothing_more_is_paid_for() -> None:
    start = case()
    slots = next_slots(start, ADAPTIVE)
    assert len(slots) == FULL.routing.easy
    broken = start
    for slot in slots:
        broken = verified(broken, slot, "unjudged")
    assert more_paths(broken, ADAPTIVE) is None
    with pytest.raises(Dead, match="5 of 5 paths are unknown"):
        route(broken, FULL.routing)


def test_paths_without_a_verdict_are_waited_for() -> None:
    start = case()
    assert next_slots(start.with_(paths=(path(start, 0),)), ADAPTIVE) == ()


def test_the_order_is_shuffled_by_case_and_always_the_same() -> None:
    cases = [case().with_(case_id=ids.digest("case", number)) for number in range(200)]
    orders = [order(each, ADAPTIVE) for each in cases]
    assert orders == [order(each, ADAPTIVE) for each in cases]
    assert all(sorted(each) == list(range(PLAN)) for each in orders)
    assert {each[0] for each in orders} == set(range(PLAN))


def test_the_router_counts_the_waves_of_a_case() -> None:
    now, waves = case(), list[int | None]()
    while slots := next_slots(now, ADAPTIVE):
        for slot in slots:
            now = verified(now, slot, "correct" if slot % 2 else "error")
        if emit := more_paths(now, ADAPTIVE):
            assert isinstance(emit.message, Case)
            assert (emit.topic, emit.message.paths) == ("case-undecided", now.paths)
            now = emit.message
            waves.append(now.wave)
    assert waves == list(range(1, len(waves) + 1))
    assert waves
    assert more_paths(all_of(case(), ["error"] * PLAN), FULL) is None


def test_full_sampling_is_the_default_and_no_part_of_the_id() -> None:
    assert FULL.sampling == "full"
    assert "sampling" not in FULL.model_dump(mode="json")
    assert ids.recipe_id(FULL) != ids.recipe_id(ADAPTIVE)
