"""What all commands share: where they print, their common options, their tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

UP = Path("build/up")
"""The default folder of `up`; the commands that use a running stack look there."""

PIPED_WIDTH = 100_000
"""Columns where stdout is no terminal: no line is wrapped or cut."""

out = Console()
"""Results. With --json nothing is printed here but the JSON."""
err = Console(stderr=True)
"""Progress and errors."""
for _console in (out, err):
    if not _console.is_terminal:
        _console.width = PIPED_WIDTH

Bootstrap = Annotated[
    str | None, typer.Option(help="Kafka's host:port, several comma-separated; else the environment's, else `up`'s.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]
Folder = Annotated[Path, typer.Option(help="The folder of a running `reasonmed up`.")]
Wide = Annotated[bool, typer.Option("--wide", help="Show all columns, whatever the terminal's width.")]


class Failed(Exception):
    """The command failed: the message says why, and what to do."""


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    right: bool = False
    drop: int = 0
    """The columns with the highest number are left out first where the terminal is too narrow; 0: never."""


def emit(data: Any) -> None:
    """Print data as JSON on stdout."""
    typer.echo(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode())


def fitted(columns: Sequence[Column], rows: Sequence[Sequence[str]], *, wide: bool = False) -> Table:
    """A table that fits the terminal: columns are left out, letters never. Piped, or with `wide`, it has them all."""
    table = _table(columns, rows)
    if wide:
        table.width = _width(table)
        return table
    for most in range(max(column.drop for column in columns) - 1, -1, -1):
        if _width(table) <= out.width:
            break
        places = [place for place, column in enumerate(columns) if column.drop <= most]
        table = _table([columns[place] for place in places], [[row[place] for place in places] for row in rows])
    return table


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], *, wide: bool = False) -> None:
    """Print a fitted table; columns that are left out are named on stderr."""
    table = fitted(columns, rows, wide=wide)
    out.print(table, soft_wrap=wide)  # the terminal may break a wide line; no letter of it is cut
    shown = {str(column.header) for column in table.columns}
    if hidden := [column.name for column in columns if column.name not in shown]:
        err.print(f"Hidden for lack of room: {', '.join(hidden)}; --wide shows them.", highlight=False)


def _width(table: Table) -> int:
    return Measurement.get(out, out.options.update(max_width=PIPED_WIDTH), table).maximum


def _table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        # Where even this is too wide for the terminal, a cell is folded: what is copied from it is whole.
        table.add_column(column.name, justify="right" if column.right else "left", overflow="fold", no_wrap=False)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def many(count: int, one: str, more: str = "") -> str:
    """ "1 case", "3 cases"; `more` is an irregular plural."""
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"
