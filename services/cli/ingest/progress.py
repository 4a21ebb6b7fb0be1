"""What a run prints on stderr: a progress bar, the first rejected rows, warnings."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from services.cli.console import err
from services.importers.files import Observer
from services.importers.folders import PassedOver
from services.importers.rows import Flag, Rejected
from services.importers.submit import Counts

SHOWN = 20
"""Rejected or flagged rows of a file that are printed on stderr."""


def say(text: str) -> None:
    """Print it on stderr, as it is."""
    err.print(text, highlight=False, markup=False, soft_wrap=True)


class Listing:
    """Prints the first rejected and flagged rows of each file."""

    def __init__(self, tell: Callable[[str], None] = say, *, more: str = ", see its .rejected.jsonl") -> None:
        """`more`: where the rest of them are."""
        self._say = tell
        self._more = more
        self.begin("")

    def begin(self, name: str) -> None:
        """The rows that follow are of this file."""
        self._name, self._rejected, self._flagged = name, 0, 0

    def reject(self, row: Rejected) -> None:
        """A row that is no question."""
        self._rejected += 1
        self._row(self._rejected, f"line {row.line}: {row.field}: {row.why}", self._more)

    def flag(self, flag: "Flag") -> None:
        """A question that is submitted, with something to say against it."""
        self._flagged += 1
        self._row(self._flagged, f"line {flag.line}: flagged: {flag.why}", " flagged, see --dry-run --json")

    def _row(self, count: int, text: str, more: str) -> None:
        if count <= SHOWN:
            self._say(f"{self._name}: {text}")
        elif count == SHOWN + 1:
            self._say(f"{self._name}: and more{more}")


@contextmanager
def observed(unit: Callable[[Counts], str], *, more: str = ", see its .rejected.jsonl") -> Iterator[Observer]:
    """An observer that prints while a run lasts; `unit` says how far it is."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[counts]}"))
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task, listing = bar.add_task("", total=None, counts=""), Listing(more=more)

        def opened(name: str, format: str, line: int) -> None:
            listing.begin(name)
            bar.reset(task, total=None, description=name, counts="")
            say(f"{name}: detected format: {format}" + (f", resumes after line {line}" if line else ""))

        def progress(fraction: float | None, counts: Counts) -> None:
            bar.update(task, total=None if fraction is None else 1, completed=fraction, counts=unit(counts))

        yield Observer(opened=opened, progress=progress, rejected=listing.reject, flagged=listing.flag, warned=say)


def say_passed_over(passed_over: list[PassedOver]) -> None:
    """Name the files that aren't read."""
    for one in passed_over:
        say(f"{one.name}: passed over: {one.why}")
