"""The progress of a run: a live table on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from services.contracts.topics import (
    CASE_ACCEPTED,
    CASE_DIFFICULT,
    CASE_MEDIUM,
    PATHS_GENERATED,
    PATHS_VERIFIED,
    QUESTION_ADMITTED,
)
from services.local.run import Result, Snapshot

STAGES = {
    "admitted": QUESTION_ADMITTED,
    "generated": PATHS_GENERATED,
    "verified": PATHS_VERIFIED,
    "to refine (medium)": CASE_MEDIUM,
    "to regenerate (difficult)": CASE_DIFFICULT,
    "accepted": CASE_ACCEPTED,
}
"""The stages in the view, and the topic in which each is counted."""

LINE_EVERY_S = 2.0
"""Seconds between two plain lines."""
_BAR = 24


class View:
    """Shows one run after another."""

    def __init__(self, console: Console, title: str, live: Live | None) -> None:
        self._console = console
        self._title = title
        self._live = live
        self._started = time.monotonic()
        self._step = ""
        self._shown: Snapshot | None = None
        self._line_at = 0.0

    def say(self, step: str) -> None:
        """Show a step of the run itself, such as starting a server."""
        self._step = step
        if self._live is None:
            self._console.print(f"{self._elapsed():6.1f} s  {step}", highlight=False)
        else:
            self._live.update(self._table())

    def show(self, snapshot: Snapshot) -> None:
        """Show the questions' progress."""
        changed = self._shown is None or snapshot.calls != self._shown.calls or snapshot.ends != self._shown.ends
        self._shown = snapshot
        if self._live is not None:
            self._live.update(self._table())
        elif changed and time.monotonic() - self._line_at >= LINE_EVERY_S:
            self._line_at = time.monotonic()
            self._console.print(f"{self._elapsed():6.1f} s  {line(snapshot)}", highlight=False, soft_wrap=True)

    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _table(self) -> RenderableType:
        head = Text(f"{self._title}  {self._elapsed():.0f} s  {self._step}", style="bold")
        return head if self._shown is None else Group(head, _stages(self._shown), Text(_foot(self._shown)))


@contextmanager
def watching(console: Console, title: str) -> Iterator[View]:
    """A view of a run, live where the console is a terminal."""
    if not console.is_terminal:
        console.print(f"== {title}", highlight=False)
        yield View(console, title, None)
        return
    with Live(console=console, refresh_per_second=4) as live:
        yield View(console, title, live)


def line(snapshot: Snapshot) -> str:
    """The progress in a line."""
    stages = ", ".join(f"{name} {snapshot.cases.get(topic, 0)}" for name, topic in STAGES.items())
    return f"{snapshot.questions} questions: {stages}; {_foot(snapshot)}"


def summary(console: Console, title: str, result: Result, folder: str) -> None:
    """Print the figures of a run, and where its files are."""
    audit = result.audit
    table = Table(title=title, title_justify="left", show_header=False, box=None)
    table.add_column(style="bold")
    for name, value in _rows(audit, folder):
        table.add_row(name, value)
    console.print(table)
    for case_id, topic in result.open.items():
        console.print(f"not ended: {case_id}, last seen in {topic}", style="red", highlight=False)
    for fault, count in result.faults.items():
        console.print(f"{fault}: {count} (must be 0)", style="red", highlight=False)


def _rows(audit: Mapping[str, Any], folder: str) -> list[tuple[str, str]]:
    routes = ", ".join(f"{count} {route}" for route, count in audit["routes"].items())
    ends = ", ".join(f"{audit[kind]} {kind}" for kind in ("accepted", "rejected", "dead", "refused"))
    tokens = audit["tokens"]
    return [
        ("questions", f"{audit['questions']}, of which {audit['ended']} ended: {ends}"),
        ("routes", routes),
        ("records", f"{audit['records']} in {audit['dataset']}"),
        ("model calls", f"{audit['calls']} in {audit['seconds']:.0f} s"),
        ("tokens", f"{tokens['in']:,} in ({tokens['cached']:,} cached), {tokens['out']:,} out"),
        ("all figures", f"{folder}/summary.json"),
    ]


def _stages(snapshot: Snapshot) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 1))
    table.add_column(justify="right")
    table.add_column(justify="right")
    table.add_column()
    for name, topic in STAGES.items():
        count = snapshot.cases.get(topic, 0)
        filled = round(_BAR * min(1.0, count / max(1, snapshot.questions)))
        table.add_row(name, str(count), Text("█" * filled + "░" * (_BAR - filled), style="cyan"))
    return table


def _foot(snapshot: Snapshot) -> str:
    ends = ", ".join(f"{count} {kind}" for kind, count in sorted(snapshot.ends.items())) or "none yet"
    calls = snapshot.calls
    return f"ended: {ends}; records {snapshot.records}; calls {calls.ended} done, {calls.under_way} in flight"
