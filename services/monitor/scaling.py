"""The signals for autoscaling: what is left for each group, and the calls that this means for each model. Pure."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping

from services.contracts.recipe import Recipe
from services.contracts.topics import (
    CASE_DIFFICULT,
    CASE_MEDIUM,
    CASE_UNDECIDED,
    PATHS_GENERATED,
    PATHS_VERIFIED,
    QUESTION_ADMITTED,
    QUESTION_SUBMITTED,
    stage_topic,
)
from services.core.sizing import waves
from services.core.status.figures import GroupScale, ModelScale, Scale
from services.monitor.events import SERVICE

ByTopic = Mapping[str, Mapping[str, int]]
"""A count by topic and consumer group."""


def build_scale(
    at: float,
    *,
    left: ByTopic,
    lag: ByTopic,
    recipe: Recipe | None,
    routes: Mapping[str, int],
    stopped: bool,
) -> Scale:
    """The signals at a moment (Unix time). `recipe`: the current one; `routes`: cases by difficulty so far; `stopped`:
    the budget admits no question, so submitted ones wake no model."""
    groups = sorted({group for found in left.values() for group in found})
    return Scale(
        at=at,
        groups={group: GroupScale(left=_sum(left, group), lag=_sum(lag, group)) for group in groups},
        models={} if recipe is None else _models(left, recipe, routes, stopped=stopped),
    )


def _sum(counts: ByTopic, group: str) -> int:
    return sum(found.get(group, 0) for found in counts.values())


def _models(left: ByTopic, recipe: Recipe, routes: Mapping[str, int], *, stopped: bool) -> dict[str, ModelScale]:
    calls = {group: Counter[str]() for group in waves(recipe)}
    for group, of_group in waves(recipe).items():
        for wave in of_group:
            calls[group].update(wave)
    visits = _later_visits(routes)
    wanted, ahead = dict.fromkeys(recipe.models, 0), dict.fromkeys(recipe.models, 0.0)
    for topic, group, count in _of_services(left):
        for alias, of_case in calls.get(group, {}).items():
            wanted[alias] += count * of_case
        for later, expected in {} if stopped and topic == QUESTION_SUBMITTED else visits.get(topic, {}).items():
            for alias, of_case in calls[later].items():
                ahead[alias] += count * expected * of_case
    return {alias: ModelScale(wanted=wanted[alias], ahead=math.ceil(ahead[alias])) for alias in recipe.models}


def _of_services(left: ByTopic) -> Iterator[tuple[str, str, int]]:
    for topic, found in left.items():
        yield from ((stage_topic(topic), group, count) for group, count in found.items() if group != SERVICE)


def _later_visits(routes: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """How often a case in a topic is expected at each later stage. Before the first routes, each counts as a third."""
    total = sum(routes.values()) + 3
    medium, difficult = ((routes.get(route, 0) + 1) / total for route in ("medium", "difficult"))
    verified = {
        "refiner-medium": medium,
        "refiner-difficult": difficult,
        "verifier": medium + difficult,
        "summarizer": 1.0,
    }
    admitted = verified | {"verifier": 1 + medium + difficult}
    refined = {"verifier": 1.0, "summarizer": 1.0}
    return {
        QUESTION_SUBMITTED: admitted | {"generator": 1.0},
        QUESTION_ADMITTED: admitted,
        CASE_UNDECIDED: admitted,
        PATHS_GENERATED: verified,
        PATHS_VERIFIED: verified,
        CASE_MEDIUM: refined,
        CASE_DIFFICULT: refined,
    }
