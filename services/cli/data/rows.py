"""Rows on stdout: a table for people, JSON and CSV for machines."""

import csv
import json
import math
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import islice
from typing import Any

import orjson
from rich.console import RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from services.cli.console import err, out
from services.taps.database import Result

SHOWN = 1_000
"""Rows of a table for people. JSON and CSV have no limit."""


def show(result: Result) -> None:
    """A table of the first rows. Where it is wider than the terminal: its columns as rows, or one table a row."""
    rows = [["–" if cell is None else str(cell) for cell in row] for row in islice(result.rows, SHOWN)]
    for part in _laid_out(result.columns, rows):
        out.print(part)
    if next(result.rows, None) is not None:
        err.print(f"The first {SHOWN:,} rows: --json or --csv prints them all.")


def _laid_out(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[RenderableType]:
    """Tables that fit the terminal's width: no heading is cut off."""
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


def _table(columns: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> Table:
    table = Table(show_header=columns is not None)
    for name in columns or ():
        table.add_column(Text(name))
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _fits(table: Table) -> bool:
    return Measurement.get(out, out.options.update(max_width=1_000_000), table).maximum <= out.width


def write_json(result: Result) -> None:
    """An array with an object a row."""
    before = "[\n"
    for row in result.rows:
        sys.stdout.write(before + _json(dict(zip(result.columns, row, strict=True))))
        before = ",\n"
    sys.stdout.write("[]\n" if before == "[\n" else "\n]\n")


def write_csv(result: Result) -> None:
    """A heading, then a line a row, with LF; null is empty, and a list, struct or map is JSON."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(result.columns)
    writer.writerows([_cell(cell) for cell in row] for row in result.rows)


def _cell(value: Any) -> Any:
    return _json(value) if isinstance(value, dict | list | tuple) else value


def _json(value: Any) -> str:
    """JSON of any value that DuckDB returns. A number of more than 64 bits stays a number."""
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # orjson refuses large integers, and keys of some types
        return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {key if isinstance(key, str) else str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case float():
            return value if math.isfinite(value) else None
        case None | bool() | int() | str():
            return value
        case date():
            return value.isoformat()
        case _:
            return str(value)
