"""The signals for autoscaling: exact counts of what is left, and the calls that it means."""

from hypothesis import given
from hypothesis import strategies as st

from services.contracts.topics import (
    CASE_ACCEPTED,
    CASE_MEDIUM,
    PATHS_GENERATED,
    QUESTION_ADMITTED,
    QUESTION_SUBMITTED,
)
from services.core.messages import TopicPartition
from services.core.status.figures import Scale
from services.monitor.scaling import build_scale
from services.runtime.kafka.admin import Progress, lag, left
from tests.strategies import recipe

RECIPE = recipe()
NO_ROUTES: dict[str, int] = {}
KEY = TopicPartition("paths-generated", 0)


def scale_of(found: dict[str, dict[str, int]], routes: dict[str, int] = NO_ROUTES, *, stopped: bool = False) -> Scale:
    return build_scale(9.0, left=found, lag=found, recipe=RECIPE, routes=routes, stopped=stopped)


def test_one_stuck_case_and_500_finished_above_it() -> None:
    done = {KEY: Progress(100, frozenset(range(101, 601)))}
    holds = {KEY: range(0, 601)}
    assert left(holds, done, KEY.topic) == 1
    assert lag(holds, {KEY: 100}, KEY.topic) == 501


@given(
    begin=st.integers(0, 50),
    size=st.integers(0, 100),
    commit=st.none() | st.integers(0, 150),
    finished=st.frozensets(st.integers(0, 200)),
)
def test_left_is_the_count_of_offsets_that_are_neither_committed_nor_finished(
    begin: int, size: int, commit: int | None, finished: frozenset[int]
) -> None:
    done = {} if commit is None else {KEY: Progress(commit, finished)}
    held = range(begin, begin + size)
    expected = [n for n in held if commit is None or (n >= commit and n not in finished)]
    assert left({KEY: held, TopicPartition("other", 0): range(9)}, done, KEY.topic) == len(expected)


def test_calls_wanted_are_those_of_the_stages_whose_messages_are_left() -> None:
    scale = scale_of({QUESTION_ADMITTED: {"generator": 4, "monitor": 4}, CASE_ACCEPTED: {"summarizer": 3}})
    of_plan = {alias: sum(slot.alias == alias for slot in RECIPE.generate.plan) for alias in RECIPE.models}
    summaries = {RECIPE.summarize.alias: 3 * RECIPE.routing.keep}
    assert {alias: each.wanted for alias, each in scale.models.items()} == {
        alias: 4 * count + summaries.get(alias, 0) for alias, count in of_plan.items()
    }
    assert (scale.groups["generator"].left, scale.groups["monitor"].left, scale.at) == (4, 4, 9.0)


def test_calls_ahead_follow_the_routes_so_far() -> None:
    all_easy = scale_of({PATHS_GENERATED: {"verifier": 1_000}}, {"easy": 10**9})
    all_medium = scale_of({PATHS_GENERATED: {"verifier": 1_000}}, {"medium": 10**9})
    more = {a: all_medium.models[a].ahead - all_easy.models[a].ahead for a in RECIPE.models}
    assert more[RECIPE.refine.alias] >= 1_000 * RECIPE.routing.keep - 1, "the shares begin at a third"
    assert all_easy.models[RECIPE.summarize.alias].ahead >= 1_000 * RECIPE.routing.keep


def test_a_case_at_its_last_stage_has_nothing_ahead() -> None:
    scale = scale_of({CASE_ACCEPTED: {"summarizer": 5}})
    assert all(each.ahead == 0 for each in scale.models.values())
    assert any(each.ahead > 0 for each in scale_of({CASE_MEDIUM: {"refiner-medium": 5}}).models.values())


def test_questions_that_wait_for_a_budget_wake_no_model() -> None:
    waiting = {QUESTION_SUBMITTED: {"router": 100, "monitor": 0}}
    assert any(each.ahead > 0 for each in scale_of(waiting).models.values())
    assert all(each.ahead == 0 for each in scale_of(waiting, stopped=True).models.values())


def test_without_a_recipe_there_are_groups_only() -> None:
    scale = build_scale(1.0, left={CASE_ACCEPTED: {"summarizer": 5}}, lag={}, recipe=None, routes={}, stopped=False)
    assert (scale.groups["summarizer"].left, scale.models) == (5, {})
