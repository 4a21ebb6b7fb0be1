"""The live figures on a screen."""

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.core.status.figures import Figures, TopicFigures

STALE_S = 10.0
"""Seconds after which figures are told as old: the monitor makes them once a second."""


def figures_view(said: Figures, now: float) -> RenderableType:
    """All of them. `now`: Unix time."""
    lines: list[RenderableType] = [
        _age(said, now),
        _topics(said),
        _line("ended", said.ends.model_dump()),
        _line("routes", said.routes),
    ]
    if said.refused:
        lines.append(_line("refused", said.refused))
    if said.records:
        lines.append(_records(said))
    lines.append(_calls(said))
    if said.budget is not None:
        stopped = "; questions wait" if said.budget.stopped else ""
        lines.append(Text(f"budget: {said.budget.usd:.2f} USD, reserved {said.budget.reserved_usd:.2f}{stopped}"))
    lines += [Text(f"circuit of {name} is open: {why}", "red") for name, why in said.circuits.items()]
    if said.dead_letters:
        lines.append(_line("dead letters", said.dead_letters, style="red"))
    return Group(*lines)


def ago(seconds: float) -> str:
    """A length of time in two figures or so."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _age(said: Figures, now: float) -> Text:
    age = max(0.0, now - said.at)
    if age > STALE_S:
        text = f"These figures are {ago(age)} old: is a monitor running? --count needs none."
        return Text(text, "red")
    return Text(f"{age:.1f} s ago, by a monitor {ago(said.behind_s)} behind at its last message", "dim")


def _topics(said: Figures) -> Table:
    table = Table("topic")
    for name in ("open", "oldest", "per minute", "seen"):
        table.add_column(name, justify="right")
    table.add_column("lag by group")
    for each in said.topics:
        table.add_row(*_topic(each))
    table.add_section()
    table.add_row("all", str(said.open))
    return table


def _topic(each: TopicFigures) -> tuple[str, ...]:
    oldest = "" if each.oldest_s is None else ago(each.oldest_s)
    lags = ", ".join(f"{group} {count}" for group, count in each.lag.items() if count)
    return each.topic, str(each.open), oldest, str(each.per_minute), str(each.seen), lags


def _records(said: Figures) -> Table:
    table = Table("records", "alias")
    for name in ("records", "USD", "USD each", "tokens out"):
        table.add_column(name, justify="right")
    for each in said.records:
        one = each.usd / each.records if each.records else 0.0
        table.add_row(
            each.difficulty, each.alias, str(each.records), f"{each.usd:.4f}", f"{one:.5f}", str(each.tokens_out)
        )
    return table


def _calls(said: Figures) -> Text:
    calls = ", ".join(f"{service} {count}" for service, count in said.calls_under_way.items()) or "none"
    spent = f"; spent {said.usd:.4f} USD, {said.tokens_per_s:g} tokens/s" if said.spent else ""
    return Text(f"calls under way: {calls}{spent}; duplicates dropped: {said.duplicates}")


def _line(what: str, counts: Mapping[str, int], *, style: str = "") -> Text:
    told = ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"
    return Text(f"{what}: {told}", style)
