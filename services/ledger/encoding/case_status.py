"""The stored form of case statuses: a case's events as JSON, and counts under flat names."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, fields
from typing import Any

from services.contracts.base import CaseId
from services.contracts.codec import canonical, peek
from services.core.messages import Position
from services.core.status import history
from services.core.status.case_status import SLICE_S, Agreement, CaseEvent, CaseHistory, Cost, Delta, Savings
from services.core.status.store import RecordSum, Tally, recent_slices

KEPT_S = 3600
"""Seconds that slices of rates are kept; older rates are never requested."""

Count = tuple[str, str, str, str]
"""A count's name: a kind (standing, seen, slice, routes, refused, records, spared, agreement, case_s), and up to three
names under it."""

_DEFAULTS = {field.name: field.default for field in fields(CaseEvent) if field.default is not MISSING}
_FIELDS = {field.name for field in fields(CaseEvent)}


def encode(case: CaseHistory) -> bytes:
    """The events of a case, without default values."""
    return canonical([_values(event) for event in case.events.values()])


def decode(case_id: CaseId, data: bytes | None) -> CaseHistory:
    """The events of a case; fields of newer writers are ignored. None: no events yet."""
    if data is None:
        return CaseHistory(case_id)
    events = [_event(case_id, values) for values in peek(data)]
    return CaseHistory(case_id, {event.key: event for event in events})


def by_case(events: Iterable[CaseEvent]) -> Mapping[CaseId, list[CaseEvent]]:
    """The events of each case."""
    found: defaultdict[CaseId, list[CaseEvent]] = defaultdict(list)
    for event in events:
        found[event.case_id].append(event)
    return found


def counts(delta: Delta, now_ms: int) -> dict[Count, int]:
    """The changes of counts, without zeros, and without slices that are too old."""
    oldest = oldest_slice(now_ms)
    flat: dict[Count, int] = {("standing", topic, end, ""): n for (topic, end), n in delta.standing.items()}
    flat |= {("seen", topic, "", ""): n for topic, n in delta.seen.items()}
    flat |= {("slice", topic, str(at), ""): n for (topic, at), n in delta.slices.items() if at >= oldest}
    flat |= {("routes", route, "", ""): n for route, n in delta.routes.items()}
    flat |= {("refused", reason, "", ""): n for reason, n in delta.refused.items()}
    flat |= {("records", *key): n for key, n in delta.records.items()}
    flat |= {("spared", *key): n for key, n in delta.spared.items()}
    flat |= {("agreement", *key, ""): n for key, n in delta.agreement.items()}
    flat |= {("case_s", *key, ""): n for key, n in delta.case_seconds.items()}
    return {count: n for count, n in flat.items() if n}


def oldest_minute(minute: int) -> int:
    """The first minute that is kept beside this one."""
    return minute - history.KEPT_S // history.MINUTE_S


def oldest_slice(now_ms: int) -> int:
    """The first slice that is kept."""
    return int((now_ms // 1000 - KEPT_S) // SLICE_S)


def tally(sums: Iterable[tuple[Count, int]], oldest_ms: Mapping[str, int], now_ms: int) -> Tally:
    """The counts in the form of the port."""
    kinds: defaultdict[str, dict[tuple[str, str, str], int]] = defaultdict(dict)
    for (kind, *names), n in sums:
        if n:
            kinds[kind][names[0], names[1], names[2]] = n
    recent: Counter[str] = Counter()
    for (topic, at, _), n in kinds["slice"].items():
        if int(at) in recent_slices(now_ms):
            recent[topic] += n
    return Tally(
        standing={(topic, end): n for (topic, end, _), n in kinds["standing"].items()},
        oldest_ms=dict(oldest_ms),
        seen={topic: n for (topic, _, _), n in kinds["seen"].items()},
        recent={topic: n for topic, n in recent.items() if n},
        routes={route: n for (route, _, _), n in kinds["routes"].items()},
        refused={reason: n for (reason, _, _), n in kinds["refused"].items()},
        records=_record_sums(kinds["records"]),
        case_seconds=_case_seconds(kinds["case_s"]),
        spared=_savings(kinds["spared"]),
        agreement=_agreement(kinds["agreement"]),
    )


def _case_seconds(of: Mapping[tuple[str, str, str], int]) -> dict[str, dict[str, int]]:
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (difficulty, bound, _), n in of.items():
        found[difficulty][bound] = max(0, n)  # a case that ended before this was counted, and is redriven, takes one
    return dict(found)


def _record_sums(of: Mapping[tuple[str, str, str], int]) -> Sequence[RecordSum]:
    return [
        RecordSum(
            difficulty=difficulty,
            alias=alias,
            records=of.get((difficulty, alias, "n"), 0),
            usd=of.get((difficulty, alias, "nano_usd"), 0) / 1e9,
            prompt=of.get((difficulty, alias, "prompt"), 0),
            completion=of.get((difficulty, alias, "completion"), 0),
        )
        for difficulty, alias in sorted({key[:2] for key in of})
    ]


def _savings(of: Mapping[tuple[str, str, str], int]) -> Sequence[Savings]:
    return [
        Savings(by, stage, of.get((by, stage, "n"), 0), of.get((by, stage, "nano_usd"), 0) / 1e9)
        for by, stage in sorted({key[:2] for key in of})
    ]


def _agreement(of: Mapping[tuple[str, str, str], int]) -> Sequence[Agreement]:
    quantities = ("gold", "gold_in_error", "other", "other_correct")
    return [
        Agreement(alias, *(of.get((alias, quantity, ""), 0) for quantity in quantities))
        for alias in sorted({key[0] for key in of})
    ]


def _values(event: CaseEvent) -> dict[str, Any]:
    position, cost = event.position, event.cost
    values = {name: value for name, default in _DEFAULTS.items() if (value := getattr(event, name)) != default}
    values["position"] = [position.topic, position.partition, position.offset]
    values["written_ms"] = event.written_ms
    if event.paths:
        values["paths"] = dict(event.paths)
    if cost is not None:
        values["cost"] = asdict(cost)
    for name in ("spared", "agreement"):
        if name in values:
            values[name] = [asdict(each) for each in values[name]]
    return values


def _event(case_id: CaseId, values: dict[str, Any]) -> CaseEvent:
    known = {name: value for name, value in values.items() if name in _FIELDS}
    known["position"] = Position(*values["position"])
    if "cost" in values:
        known["cost"] = Cost(**values["cost"])
    known["spared"] = tuple(Savings(**each) for each in values.get("spared", ()))
    known["agreement"] = tuple(Agreement(**each) for each in values.get("agreement", ()))
    return CaseEvent(case_id=case_id, **known)
