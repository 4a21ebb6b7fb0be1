"""Rows on stdout, as many as there are: a table for people, JSON and CSV for machines; and stdout as others read it."""

import csv
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import typer

from services.cli.console import err, out

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from services.taps.database import Result

SHOWN = 1_000
"""Rows of a table for people; more are for machines."""

INTERRUPTED = 130
"""The exit code of what Ctrl-C has ended, as shells have it."""


@contextmanager
def piped() -> Iterator[None]:
    """Ends quietly where whoever reads stdout has seen enough (`| head`), and at Ctrl-C."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python itself still flushes
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def show(result: "Result") -> None:
    """A table of the first rows; where it is wider than the terminal, the columns as rows, or a row after the other."""
    rows = [["–" if cell is None else str(cell) for cell in row] for row in islice(result.rows, SHOWN)]
    for part in _laid_out(result.columns, rows):
        out.print(part)
    if next(result.rows, None) is not None:
        err.print(f"The first {SHOWN:,} rows: --json or --csv prints them all.")


def _laid_out(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> "Iterator[RenderableType]":
    """What can be read at the terminal's width: no heading is cut off."""
    whole = _table(columns, rows)
    if _fits(whole):
        yield whole
        return
    turned = _table((columns[0], *(row[0] for row in rows)), list(zip(columns, *rows, strict=True))[1:])
    if _fits(turned):
        yield turned
        return
    for row in rows:
        yield _table(None, list(zip(columns, row, strict=True)))


def _table(columns: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=columns is not None)
    for name in columns or ():
        table.add_column(Text(name))
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _fits(table: "Table") -> bool:
    from rich.measure import Measurement

    return Measurement.get(out, out.options.update(max_width=1_000_000), table).maximum <= out.width


def write_json(result: "Result") -> None:
    """An array with an object a row."""
    import orjson

    before = b"[\n"
    for row in result.rows:
        said = dict(zip(result.columns, row, strict=True))
        sys.stdout.buffer.write(before + orjson.dumps(said, default=str))
        before = b",\n"
    sys.stdout.buffer.write(b"[]\n" if before == b"[\n" else b"\n]\n")


def write_csv(result: "Result") -> None:
    """A heading, then a line a row; null is empty, and a list or struct is JSON."""
    writer = csv.writer(sys.stdout)
    writer.writerow(result.columns)
    writer.writerows([_cell(cell) for cell in row] for row in result.rows)


def _cell(value: Any) -> Any:
    import orjson

    return orjson.dumps(value, default=str).decode() if isinstance(value, dict | list) else value
