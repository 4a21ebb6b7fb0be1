"""Builds the figures from their inputs. Pure."""

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from services.contracts.recipe import Recipe
from services.contracts.topics import both_lanes, lane_of, topics
from services.core.ledger.reports import ModelReport
from services.core.ledger.spending import NANO, BudgetState, Spending
from services.core.owner import Owner
from services.core.status.case_status import CASE_SECONDS, MORE, SUM_MS
from services.core.status.figures import (
    Agreement,
    Budget,
    CaseSeconds,
    Ends,
    Figures,
    RecordCost,
    Scale,
    Spared,
    Spent,
    TopicFigures,
)
from services.core.status.store import RATE_S, Tally
from services.monitor.groups import GroupSign
from services.monitor.problems import Signs, problems
from services.monitor.scaling import build_scale

COUNTED = tuple(name for name, topic in topics().items() if not topic.compacted and lane_of(name) == "live")
"""A topic counts its backfill lane too."""
_DEAD = {name for name, topic in topics().items() if topic.message == "dead_letter"}


@dataclass
class FiguresInputs:
    """The latest values from ledger and Kafka; the last known ones while a dependency is down."""

    circuits: Mapping[str, str] = field(default_factory=dict)
    """Why, by service, of the open ones."""
    duplicates: int = 0
    spendings: Sequence[Spending] = ()
    remembered: Sequence[Spending] = ()
    budget: BudgetState | None = None
    under_way: Mapping[str, int] = field(default_factory=dict)
    """Live leases by owner."""
    lag: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By topic and group."""
    left: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By topic and group, without what is finished above the commit."""
    messages: Mapping[str, int] = field(default_factory=dict)
    """Messages that each topic holds."""
    kafka_at: float | None = None
    """When lag, left and messages were read, in Unix time; None: not yet."""
    recipe: Recipe | None = None
    """The current one, if it is known."""
    groups: Mapping[str, GroupSign] = field(default_factory=dict)
    models: Mapping[str, ModelReport] = field(default_factory=dict)
    """What workers report, by alias."""
    disk_free: int | None = None
    """Bytes free on the ledger's disk; None: it is no file on this machine."""
    away: Mapping[str, str] = field(default_factory=dict)
    """Dependencies that do not answer now, with the error."""


class TokenRate:
    """Tokens written by models a second, over the last RATE_S seconds, or since the start."""

    def __init__(self) -> None:
        self._totals: deque[tuple[float, int]] = deque()

    def per_s(self, at: float, spendings: Sequence[Spending]) -> float:
        """The rate, with the current total added; 0 at the first call."""
        self._totals.append((at, sum(each.usage.completion for each in spendings)))
        while self._totals[0][0] < at - RATE_S:
            self._totals.popleft()
        (begun, first), (_, last) = self._totals[0], self._totals[-1]
        return max(0, last - first) / (at - begun) if at > begun else 0.0


def build_figures(at: float, *, behind_s: float, tally: Tally, inputs: FiguresInputs, tokens_per_s: float) -> Figures:
    """The figures at a moment (Unix time)."""
    ends: Counter[str] = Counter()
    for (_, end), count in tally.standing.items():
        ends[end] += count
    topics_ = tuple(_topic(name, at, tally, inputs) for name in COUNTED if name not in _DEAD or name in tally.seen)
    return Figures(
        at=at,
        behind_s=round(behind_s, 3),
        topics=topics_,
        open=ends.pop("", 0),
        ends=Ends(**ends),
        routes=dict(tally.routes),
        refused=dict(tally.refused),
        records=tuple(
            RecordCost(
                difficulty=each.difficulty,
                alias=each.alias,
                records=each.records,
                usd=each.usd,
                tokens_in=each.prompt,
                tokens_out=each.completion,
            )
            for each in tally.records
        ),
        case_seconds=tuple(_case_seconds(*item) for item in sorted(tally.case_seconds.items())),
        spent=tuple(_spent(each) for each in inputs.spendings),
        spared=(*_spared(tally), *_remembered(inputs.remembered)),
        agreement=tuple(Agreement(**asdict(each)) for each in tally.agreement),
        tokens_per_s=round(tokens_per_s, 1),
        calls_under_way=by_service(inputs.under_way),
        circuits=dict(inputs.circuits),
        dead_letters={name: count for name, count in inputs.messages.items() if name in _DEAD and count},
        duplicates=inputs.duplicates,
        budget=_budget(inputs.budget),
        scale=_scale(tally, inputs),
        problems=problems(_signs(inputs, topics_)),
    )


def _spared(tally: Tally) -> Iterator[Spared]:
    for each in tally.spared:
        yield Spared(by=each.by, stage=each.stage, calls=each.calls, usd=each.usd)


def _remembered(found: Sequence[Spending]) -> Iterator[Spared]:
    """By stage, of all aliases."""
    for stage in sorted({each.stage for each in found}):
        mine = [each for each in found if each.stage == stage]
        usd = sum(each.nano_usd for each in mine) / NANO
        yield Spared(by="remembered", stage=stage, calls=sum(each.calls for each in mine), usd=usd)


def _scale(tally: Tally, inputs: FiguresInputs) -> Scale | None:
    if inputs.kafka_at is None:
        return None
    return build_scale(
        inputs.kafka_at,
        left=inputs.left,
        lag=inputs.lag,
        recipe=inputs.recipe,
        routes=tally.routes,
        stopped=inputs.budget is not None and inputs.budget.waiting,
    )


def _signs(inputs: FiguresInputs, topics: tuple[TopicFigures, ...]) -> Signs:
    return Signs(
        circuits=inputs.circuits,
        models=inputs.models,
        groups=inputs.groups,
        budget_stopped=inputs.budget is not None and inputs.budget.limit_nano_usd is not None and inputs.budget.waiting,
        topics=topics,
        calls_under_way=by_service(inputs.under_way),
        disk_free=inputs.disk_free,
        away=inputs.away,
    )


def by_service(owners: Mapping[str, int]) -> dict[str, int]:
    """Leases by service; an owner that is no worker's name counts under its own text."""
    found: Counter[str] = Counter()
    for owner, count in owners.items():
        found[_service(owner)] += count
    return dict(sorted(found.items()))


def _service(owner: str) -> str:
    try:
        return Owner.parse(owner).service
    except ValueError:
        return owner


def _topic(name: str, at: float, tally: Tally, inputs: FiguresInputs) -> TopicFigures:
    since = tally.oldest_ms.get(name)
    return TopicFigures(
        topic=name,
        open=tally.standing.get((name, ""), 0),
        ended=sum(count for (topic, end), count in tally.standing.items() if topic == name and end),
        oldest_s=None if since is None else round(max(0.0, at - since / 1000), 3),
        seen=tally.seen.get(name, 0),
        per_minute=tally.recent.get(name, 0),
        lag=_lag(name, inputs),
    )


def _case_seconds(difficulty: str, by_bound: Mapping[str, int]) -> CaseSeconds:
    buckets = {bound: by_bound.get(bound, 0) for bound in (*map(str, CASE_SECONDS), MORE)}
    seconds = by_bound.get(SUM_MS, 0) / 1000
    return CaseSeconds(difficulty=difficulty, count=sum(buckets.values()), seconds=seconds, buckets=buckets)


def _lag(name: str, inputs: FiguresInputs) -> dict[str, int]:
    """Of both lanes, by group."""
    sums: Counter[str] = Counter()
    for topic in both_lanes(name):
        sums.update(inputs.lag.get(topic, {}))
    return dict(sums)


def _spent(each: Spending) -> Spent:
    return Spent(
        alias=each.alias,
        stage=each.stage,
        calls=each.calls,
        tokens_in=each.usage.prompt,
        tokens_cached=each.usage.cached,
        tokens_out=each.usage.completion,
        usd=each.nano_usd / NANO,
    )


def _budget(state: BudgetState | None) -> Budget | None:
    if state is None or state.limit_nano_usd is None:
        return None
    return Budget(usd=state.limit_nano_usd / NANO, reserved_usd=state.reserved_nano_usd / NANO, stopped=state.waiting)
