"""The stream's totals minute by minute, and the rates, costs and latencies between them. Pure.

The monitor keeps a snapshot of its totals each minute. A rate is a difference of two snapshots, so a monitor that was
away for some minutes leaves a longer step, and no wrong one.
"""

from collections.abc import Sequence
from itertools import pairwise

from pydantic import Field

from services.core.status.figures import Figure, Figures

MINUTE_S = 60
KEPT_S = 24 * 3600
"""Seconds that snapshots are kept: 1,440 of some 700 bytes, 1 MB."""
POINTS = 96
"""Points of a history, at most: a step of a minute for an hour, of a quarter for a day."""


class Snapshot(Figure):
    """The totals at a moment. Totals never fall, except where a redrive takes a case out of its end."""

    at: float
    seen: dict[str, int] = Field(description="Messages by topic, without repeats.")
    ended: int = Field(description="Ended cases, without refused questions.")
    ended_s: float = Field(description="The seconds that these cases took, in all.")
    calls: int = Field(description="Paid calls.")
    usd: float
    tokens_out: int
    in_flight: float = Field(description="Calls in flight, the mean since the snapshot before.")


class Point(Figure):
    """What happened in a step that ended at `at`."""

    at: float
    per_minute: dict[str, float] = Field(description="Messages a minute, by topic.")
    usd_per_hour: float
    tokens_per_s: float
    calls_per_minute: float
    call_s: float | None = Field(
        description="Mean seconds of a call, with its wait for a slot: calls in flight by calls ended (Little's law)."
    )
    cases_per_minute: float = Field(description="Cases that ended.")
    case_s: float | None = Field(description="Mean seconds from the question to the end of the cases that ended.")


class History(Figure):
    """A span of time, in steps."""

    span_s: int
    points: tuple[Point, ...] = Field(description="Oldest first.")


def snapshot(figures: Figures, in_flight: float) -> Snapshot:
    """The totals of these figures."""
    return Snapshot(
        at=figures.at,
        seen={each.topic: each.seen for each in figures.topics if each.seen},
        ended=sum(each.count for each in figures.case_seconds),
        ended_s=round(sum(each.seconds for each in figures.case_seconds), 1),
        calls=sum(each.calls for each in figures.spent),
        usd=round(figures.usd, 6),
        tokens_out=sum(each.tokens_out for each in figures.spent),
        in_flight=round(in_flight, 2),
    )


def history(snapshots: Sequence[Snapshot], span_s: int) -> History:
    """The last `span_s` seconds of these snapshots, oldest first, in POINTS steps at most."""
    if not snapshots:
        return History(span_s=span_s, points=())
    first = snapshots[-1].at - span_s
    recent = [each for each in snapshots if each.at >= first - MINUTE_S / 2]
    step_s = max(MINUTE_S, span_s / POINTS)
    steps = [recent[-1]]
    for each in reversed(recent[:-1]):
        if steps[-1].at - each.at >= step_s - MINUTE_S / 2:
            steps.append(each)
    steps.reverse()
    between = [_in_flight(recent, before.at, after.at) for before, after in pairwise(steps)]
    return History(
        span_s=span_s,
        points=tuple(
            _point(before, after, mean) for (before, after), mean in zip(pairwise(steps), between, strict=True)
        ),
    )


def whole(snapshots: Sequence[Snapshot], span_s: int) -> History:
    """The last `span_s` seconds as one step, or as much of them as there is."""
    recent = [each for each in snapshots if each.at >= snapshots[-1].at - span_s - MINUTE_S / 2]
    if len(recent) < 2:  # a step has two ends
        return History(span_s=span_s, points=())
    first, last = recent[0], recent[-1]
    return History(span_s=span_s, points=(_point(first, last, _in_flight(recent, first.at, last.at)),))


def _in_flight(snapshots: Sequence[Snapshot], after: float, to: float) -> float:
    """The mean of calls in flight in a step."""
    inside = [each.in_flight for each in snapshots if after < each.at <= to]
    return sum(inside) / len(inside) if inside else 0.0


def _point(before: Snapshot, after: Snapshot, in_flight: float) -> Point:
    seconds = max(1e-9, after.at - before.at)
    minutes = seconds / 60
    calls, ended = max(0, after.calls - before.calls), max(0, after.ended - before.ended)
    return Point(
        at=after.at,
        per_minute={
            topic: round(max(0, count - before.seen.get(topic, 0)) / minutes, 2) for topic, count in after.seen.items()
        },
        usd_per_hour=round(max(0.0, after.usd - before.usd) * 3600 / seconds, 6),
        tokens_per_s=round(max(0, after.tokens_out - before.tokens_out) / seconds, 1),
        calls_per_minute=round(calls / minutes, 2),
        call_s=round(in_flight * seconds / calls, 3) if calls else None,
        cases_per_minute=round(ended / minutes, 2),
        case_s=round(max(0.0, after.ended_s - before.ended_s) / ended, 1) if ended else None,
    )
