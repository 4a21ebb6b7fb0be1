"""The router's rule: the table of the design, as properties over generated cases."""

from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.contracts.case import Case, Path
from services.contracts.recipe import Routing
from services.contracts.topics import CASE_ACCEPTED, CASE_DIFFICULT, CASE_MEDIUM, CASE_REJECTED
from services.core.case.paths import best, of_round, planned, rank, wording
from services.core.errors import Dead
from services.core.messages import Emit
from services.router.rules import classify, disputed, route
from tests import strategies
from tests.strategies import case, correct, failed, path, routings, unjudged, verified, wrong

ROUTING = Routing()


def outcome(case: Case, routing: Routing) -> Emit | str:
    """The one message, or the kind of the dead letter."""
    try:
        return route(case, routing)
    except Dead as dead:
        return dead.kind


def routed(emit: Emit) -> Case:
    assert isinstance(emit.message, Case)
    return emit.message


def kept(emit: Emit) -> list[Path]:
    return [routed(emit).path(path_id) for path_id in routed(emit).kept]


def count(case: Case, standing: str) -> int:
    return sum(path.standing == standing for path in planned(case))


@st.composite
def back_from_medium(draw: st.DrawFn) -> Case:
    """A medium case whose best paths were rewritten and verified."""
    first = draw(strategies.first_verified())
    parents = best(planned(first), draw(st.integers(1, 4)))
    assume(parents)
    rewritten = [
        draw(verified(path(first, slot, origin="refined", round=1, parents=(parent.path_id,))))
        for slot, parent in enumerate(parents)
    ]
    paths = draw(st.permutations([*first.paths, *rewritten]))
    return first.with_(paths=tuple(paths), rounds=1, difficulty="medium")


@st.composite
def back_from_difficult(draw: st.DrawFn) -> Case:
    """A difficult case after some rounds of the strong model; none but the last brought a correct path."""
    first = draw(strategies.first_verified())
    rounds = draw(st.integers(1, 3))
    new = [
        draw(verified(path(first, slot, origin="regenerated", round=round)))
        for round in range(1, rounds + 1)
        for slot in range(draw(st.integers(1, 3)))
    ]
    new = [made if made.round == rounds or made.standing != "correct" else wrong(made) for made in new]
    paths = draw(st.permutations([*first.paths, *new]))
    return first.with_(paths=tuple(paths), rounds=rounds, difficulty="difficult")


any_case = strategies.first_verified() | back_from_medium() | back_from_difficult()


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


def nine(*made: Callable[[Path], Path]) -> Case:
    """A case whose paths are these, in plan order, and in error from there on."""
    new = case()
    return new.with_(paths=tuple((made[n] if n < len(made) else wrong)(path(new, n)) for n in range(9)))


def scored(score: int | None) -> Callable[[Path], Path]:
    return lambda made: correct(made, score)


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
def test_what_replaces_its_parent(parent: int | None, rewritten: Callable[[Path], Path], replaced: bool) -> None:
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
    raise AssertionError(f"still on its way after {at.rounds} rounds of {routing.rounds}")


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


def test_the_case_says_so_and_goes_on_saying_so() -> None:
    new = case()
    doubted = new.with_(paths=tuple(wrong(path(new, n), "B") for n in range(9)))
    at = routed(route(doubted, ROUTING))
    assert (at.difficulty, at.gold_disputed) == ("difficult", True)
    right = correct(path(at, 0, origin="regenerated", round=1))
    assert routed(route(at.with_(paths=(*at.paths, right), rounds=1), ROUTING)).gold_disputed
