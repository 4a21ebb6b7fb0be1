"""What a deployment needs for so many questions: calls, servers, pods, bytes, cost and time. Pure.

The numbers of pods and servers are those that the autoscaling of the chart reaches (services.core.sizing).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from services.contracts.recipe import Recipe
from services.contracts.topics import (
    CASE_ACCEPTED,
    CASE_DIFFICULT,
    CASE_MEDIUM,
    CASE_REJECTED,
    PATHS_GENERATED,
    PATHS_VERIFIED,
    QUESTION_ADMITTED,
    QUESTION_SUBMITTED,
    RECORD_COMPLETED,
    topics,
)
from services.core import sizing
from services.core.planning.demand import ASSUMED, CallKind, Calls, Shares, Tokens, calls, visits

QUESTION_BYTES = 1_500
TOKEN_BYTES = 4.5
"""Text of a token, in English."""
LEDGER_CALL_BYTES = 470
"""A finished call in the ledger on Valkey, beside its text (measured)."""
PER_DAY = 86_400
NEVER_FULL = 10**9
"""The cases an hour of what no case needs."""


@dataclass(frozen=True)
class Pool:
    """The servers of a model alias, as in the chart's values."""

    at_once: int
    """Calls that one server runs at once. Of a server elsewhere: calls that it takes from all workers."""
    call_s: float
    gpus: int = 0
    """Of one server; 0: a server elsewhere."""
    most: int = 1
    """Servers."""


@dataclass(frozen=True)
class Cluster:
    """The chart's values that matter here."""

    pools: Mapping[str, Pool]
    cases: Mapping[str, int]
    """In flight in a pod, by service."""
    most: Mapping[str, int]
    """Pods, by service."""
    wait_s: float
    start_s: float
    """Of a model server, from zero to its first call."""
    replication: int = 3


@dataclass(frozen=True)
class Servers:
    """What a model alias needs."""

    alias: str
    call_s: float
    in_flight: float
    """Calls at once, on average."""
    servers: int
    gpus: int
    most: int
    cases_per_h: int
    """With `most` servers, all busy."""


@dataclass(frozen=True)
class Pods:
    """What a service needs."""

    service: str
    case_s: float
    pods: int
    most: int
    cases_per_h: int
    """With `most` pods, all busy."""


@dataclass(frozen=True)
class Bytes:
    """What is stored once the stream has run for as long as it keeps things; before compression."""

    kafka: int
    """With replicas."""
    ledger: int
    table_per_day: int


@dataclass(frozen=True)
class Plan:
    """What so many questions need."""

    cases_per_h: float
    calls: tuple[Calls, ...]
    models: tuple[Servers, ...]
    services: tuple[Pods, ...]
    partitions: int
    """Of each topic: no service has a pod without one."""
    bytes: Bytes
    usd_of_case: float
    from_zero_s: float
    """Until the first call: workers and model servers start together."""
    case_s: float
    """Of a difficult case, when it never waits."""
    bound: str
    """What would be full first: a model or a service."""
    bound_cases_per_h: int

    @property
    def gpus(self) -> int:
        """Of all models."""
        return sum(each.gpus for each in self.models)

    @property
    def fits(self) -> bool:
        """Whether no `most` is too low."""
        return self.cases_per_h <= self.bound_cases_per_h


def takes_s(cases: int, plan: Plan) -> float:
    """Seconds until so many questions that come at once have ended, from zero, at the plan's rate."""
    return plan.from_zero_s + cases / plan.cases_per_h * 3600 + plan.case_s


class TooShort(ValueError):
    """So many cases can't end within the time. The text says how long a single case takes."""


def rate_of(cases: int, within_s: float, recipe: Recipe, cluster: Cluster) -> float:
    """The cases per second at which so many end in time: what is left after the start of the first server and before
    the end of the last case. Raises TooShort."""
    least = cluster.start_s + _longest_case_s(recipe, cluster)
    if within_s <= least:
        raise TooShort(
            f"{within_s / 3600:.2g} h are too short: from zero, the first call comes after {cluster.start_s:.0f} s, "
            f"and a difficult case takes {least - cluster.start_s:.0f} s; give more than {least / 3600:.2g} h"
        )
    return cases / (within_s - least)


def plan(
    recipe: Recipe,
    cluster: Cluster,
    *,
    per_s: float,
    shares: Shares | None = None,
    measured: Mapping[CallKind, tuple[float, Tokens]] | None = None,
) -> Plan:
    """What `per_s` cases a second need. `measured`: calls of a case and mean tokens, by alias and stage."""
    shares, measured = shares or Shares(), measured or {}
    asked = tuple(calls(recipe, shares, measured, per_s))
    visits_of = visits(shares)
    models = tuple(_servers(alias, asked, cluster, per_s) for alias in sorted({each.alias for each in asked}))
    services = tuple(_pods(group, recipe, cluster, visits_of[group], per_s) for group in sizing.waves(recipe))
    bounds = {f"model {each.alias}": each.cases_per_h for each in models}
    bounds |= {f"service {each.service}": each.cases_per_h for each in services}
    bound = min(bounds, key=lambda name: bounds[name])
    return Plan(
        cases_per_h=round(per_s * 3600, 3),
        calls=asked,
        models=models,
        services=services,
        partitions=max(
            *(topics()[QUESTION_ADMITTED].partitions, *(each.pods for each in services)),
            *(most for service, most in cluster.most.items() if service not in visits_of and service != "gateway"),
        ),
        bytes=_bytes(asked, shares, cluster, per_s),
        usd_of_case=sum(each.usd_of_case for each in asked),
        from_zero_s=cluster.start_s,
        case_s=_longest_case_s(recipe, cluster),
        bound=bound,
        bound_cases_per_h=bounds[bound],
    )


def _servers(alias: str, asked: tuple[Calls, ...], cluster: Cluster, per_s: float) -> Servers:
    """By the chart's own rule: the calls that are wanted at once and within the time of a start, by what one server
    does in it."""
    pool = cluster.pools[alias]
    of_case = sum(each.of_case for each in asked if each.alias == alias)
    rate, wait_s = of_case * per_s, max(cluster.wait_s, cluster.start_s)
    wanted = math.ceil(rate * (pool.call_s + wait_s))
    of_one = sizing.threshold(pool.at_once, pool.call_s, wait_s)
    servers = sizing.pods(wanted, of_one, least=1, most=10**9) if pool.gpus else 1
    return Servers(
        alias=alias,
        call_s=pool.call_s,
        in_flight=round(rate * pool.call_s, 1),
        servers=servers,
        gpus=servers * pool.gpus,
        most=pool.most,
        cases_per_h=_per_h(pool.most * pool.at_once / pool.call_s, of_case),
    )


def _pods(group: str, recipe: Recipe, cluster: Cluster, visits: float, per_s: float) -> Pods:
    call_s = {alias: pool.call_s for alias, pool in cluster.pools.items()}
    case_s = sizing.case_s(sizing.waves(recipe)[group], call_s)
    cases, rate = cluster.cases[group], per_s * visits
    left = math.ceil(rate * (case_s + cluster.wait_s))
    of_one = sizing.threshold(cases, case_s, cluster.wait_s)
    return Pods(
        service=group,
        case_s=case_s,
        pods=sizing.pods(left, of_one, least=1, most=10**9),
        most=cluster.most[group],
        cases_per_h=_per_h(cluster.most[group] * cases / case_s, visits),
    )


def _per_h(per_s: float, of_case: float) -> int:
    """The cases an hour of so many calls, or visits, a second."""
    return math.floor(per_s / of_case * 3600) if of_case else NEVER_FULL


def _longest_case_s(recipe: Recipe, cluster: Cluster) -> float:
    """Of a difficult case that takes every round, and never waits."""
    call_s = {alias: pool.call_s for alias, pool in cluster.pools.items()}
    of = {group: sizing.case_s(waves, call_s) for group, waves in sizing.waves(recipe).items()}
    rounds = recipe.routing.rounds * (of["refiner-difficult"] + of["verifier"])
    return of["generator"] + of["verifier"] + rounds + of["summarizer"]


def _bytes(asked: tuple[Calls, ...], shares: Shares, cluster: Cluster, per_s: float) -> Bytes:
    """A message has the case's whole text so far; the ledger has each reply once, and keeps it as long as Kafka keeps
    what a service may read again."""
    text = {stage: sum(e.of_case * e.completion * TOKEN_BYTES for e in asked if e.stage == stage) for stage in ASSUMED}
    case = QUESTION_BYTES + text["generate"] + text["verify"] + text["score"]
    again = shares.medium + shares.difficult * shares.rounds
    rejected = shares.difficult / 2  # half of the difficult ones, at most
    record = QUESTION_BYTES + (text["generate"] + text["summarize"]) / max(1.0, shares.records) / 4
    written = {
        QUESTION_SUBMITTED: QUESTION_BYTES,
        QUESTION_ADMITTED: QUESTION_BYTES,
        PATHS_GENERATED: (1 + again) * case,
        PATHS_VERIFIED: (1 + again) * case,
        CASE_MEDIUM: shares.medium * case,
        CASE_DIFFICULT: shares.difficult * shares.rounds * case,
        CASE_ACCEPTED: (1 - rejected) * case,
        CASE_REJECTED: rejected * case,
        RECORD_COMPLETED: shares.records * record,
    }
    kept_days = {name: topics()[name].retention_days or 0 for name in written}
    a_day = per_s * PER_DAY
    of_ledger = sum(each.of_case for each in asked) * LEDGER_CALL_BYTES + sum(text.values())
    return Bytes(
        kafka=round(a_day * cluster.replication * sum(size * kept_days[name] for name, size in written.items())),
        ledger=round(a_day * of_ledger * max(kept_days.values())),
        table_per_day=round(a_day * shares.records * record),
    )
