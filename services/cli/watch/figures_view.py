"""The live figures on a screen."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.cli.console import Column, fitted, many
from services.core.status.figures import Figures, TopicFigures
from services.core.status.history import History

STALE_S = 10.0
"""Seconds after which figures are shown as stale: the monitor publishes them once a second."""

TOPICS = (
    *(Column("topic"), Column("open", right=True), Column("oldest", right=True)),
    *(Column("per minute", right=True, drop=2), Column("seen", right=True, drop=3), Column("lag by group", drop=1)),
)
AGREEMENT = (
    *(Column("paths by"), Column("gold stated, judged", right=True, drop=2), Column("in error", right=True)),
    *(Column("other stated, judged", right=True, drop=1), Column("correct", right=True)),
)
RECORDS = (
    *(Column("difficulty"), Column("alias"), Column("records", right=True), Column("USD", right=True)),
    *(Column("USD each", right=True), Column("tokens out", right=True, drop=1)),
)


def figures_view(figures: Figures, now: float, *, past: Sequence[History] = (), wide: bool = False) -> RenderableType:
    """All figures. `now`: Unix time. `past`: spans of one step each."""
    lines: list[RenderableType] = [
        _age(figures, now),
        *_problems(figures),
        _topics(figures, wide=wide),
        Text(f"open: {many(figures.open, 'case')}"),
        _line("ended", figures.ends.model_dump()),
        _line("routes", figures.routes),
    ]
    if figures.refused:
        lines.append(_line("refused", figures.refused))
    if figures.records:
        lines.append(_records(figures, wide=wide))
    lines.append(_calls(figures))
    if figures.spared:
        lines.append(_spared(figures))
    if figures.agreement:
        lines.append(_agreement(figures, wide=wide))
    lines += [_span(each) for each in past if each.points]
    if figures.budget is not None:
        stopped = "; questions wait: raise it with `reasonmed budget set`" if figures.budget.stopped else ""
        lines.append(Text(f"budget: {figures.budget.usd:.2f} USD, reserved {figures.budget.reserved_usd:.2f}{stopped}"))
    if figures.dead_letters:
        lines.append(_line("dead letters", figures.dead_letters, style="red"))
    return Group(*lines)


def _span(past: History) -> Text:
    (point,) = past.points
    case = f", {ago(point.case_s)} each" if point.case_s is not None else ""
    call = f", {point.call_s:.1f} s each" if point.call_s is not None else ""
    return Text(
        f"last {past.span_s // 3600} h: {point.cases_per_minute:g} cases a minute{case}; "
        f"{point.calls_per_minute:g} calls a minute{call}; {point.usd_per_hour:.4f} USD an hour"
    )


def ago(seconds: float) -> str:
    """A duration with two digits or so."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _age(figures: Figures, now: float) -> Text:
    age = max(0.0, now - figures.at)
    if age > STALE_S:
        return Text(f"These figures are {ago(age)} old: is a monitor running? --count needs none.", "red")
    return Text(f"{age:.1f} s ago, by a monitor {ago(figures.behind_s)} behind at its last message", "dim")


def _problems(figures: Figures) -> list[Text]:
    return [
        Text.assemble((f"{each.kind.replace('_', ' ')}: {each.what}. ", "bold red"), f"{each.why} ", each.remedy)
        for each in figures.problems
    ]


def _topics(figures: Figures, *, wide: bool) -> Table:
    return fitted(TOPICS, [_topic(each) for each in figures.topics], wide=wide)


def _topic(each: TopicFigures) -> tuple[str, ...]:
    oldest = "" if each.oldest_s is None else ago(each.oldest_s)
    lags = ", ".join(f"{group} {count}" for group, count in each.lag.items() if count)
    return each.topic, str(each.open), oldest, str(each.per_minute), str(each.seen), lags


def _records(figures: Figures, *, wide: bool) -> Table:
    rows = []
    for each in figures.records:
        one = each.usd / each.records if each.records else 0.0
        cells = (str(each.records), f"{each.usd:.4f}", f"{one:.5f}", str(each.tokens_out))
        rows.append((each.difficulty, each.alias, *cells))
    return fitted(RECORDS, rows, wide=wide)


def _calls(figures: Figures) -> Text:
    calls = ", ".join(f"{service} {count}" for service, count in figures.calls_under_way.items()) or "none"
    spent = f"; spent {figures.usd:.4f} USD, {figures.tokens_per_s:g} tokens/s" if figures.spent else ""
    return Text(f"calls in flight: {calls}{spent}; duplicates dropped: {figures.duplicates}")


def _spared(figures: Figures) -> Text:
    """By reason, of all stages."""
    parts = []
    for by in dict.fromkeys(each.by for each in figures.spared):
        mine = [each for each in figures.spared if each.by == by]
        usd = sum(each.usd for each in mine)
        parts.append(f"{many(sum(each.calls for each in mine), 'call')} {by} ({usd:.4f} USD)")
    return Text(f"not paid for: {', '.join(parts)}")


def _agreement(figures: Figures, *, wide: bool) -> Table:
    """How the judge agrees with the answers that paths state."""
    rows = [
        (
            each.alias,
            str(each.gold),
            _share(each.gold_in_error, each.gold),
            str(each.other),
            _share(each.other_correct, each.other),
        )
        for each in figures.agreement
    ]
    return fitted(AGREEMENT, rows, wide=wide)


def _share(part: int, whole: int) -> str:
    return f"{part} ({part / whole:.1%})" if whole else "0"


def _line(name: str, counts: Mapping[str, int], *, style: str = "") -> Text:
    text = ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "none"
    return Text(f"{name}: {text}", style)
