"""Reads text tables: comma, tab or semicolon between cells, with or without a header."""

import csv
from collections.abc import Iterator
from typing import IO, Final

from services.importers.readers.data import Lines
from services.importers.readers.shape import Shape
from services.importers.rows import Refused, Row, Unfit

MORE: Final = 20
"""Names of a header that an error shows."""


def cells(data: IO[bytes], shape: Shape) -> Iterator[Row]:
    """Every record as a list of texts; blank records are skipped."""
    lines = Lines(data)
    for _ in range(shape.skip):
        next(lines, None)
    records = csv.reader(
        map(_text, lines), delimiter=shape.delimiter, skipinitialspace=shape.padded, strict=not shape.padded
    )
    while True:
        first = lines.number + 1
        try:
            value: list[str] | Unfit = next(records)
        except StopIteration:
            return
        except Unfit as unfit:
            value = unfit
        except csv.Error as error:  # continue with the next line
            value = Unfit("row", f"is not CSV: {error}")
        if isinstance(value, Unfit) or any(value):
            yield Row(first, value)


def table(data: IO[bytes], shape: Shape) -> Iterator[Row]:
    """Every record by the names of the header; empty cells at the end are dropped. Raises Refused."""
    rows = cells(data, shape)
    first = next(rows, None)
    if first is None:
        return
    names = header(first.value)
    for row in rows:
        if isinstance(row.value, list):
            yield Row(row.line, _named(names, row.value))
        else:
            yield row


def header(cells: list[str] | Unfit) -> list[str]:
    """The names of the columns, without white space around them. Raises Refused."""
    if isinstance(cells, Unfit):
        raise Refused("the first line is not a header: it must have the name of each column, once")
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    if len(set(names)) < len(names):
        raise Refused("the first line is not a header: it must have the name of each column, once")
    return names


def _named(names: list[str], values: list[str]) -> dict[str, str] | Unfit:
    count = len(names)
    if len(values) > count and not any(values[count:]):
        values = values[:count]
    if len(values) != count:
        return Unfit("row", f"has {len(values)} cells, but the header has {count}")
    return dict(zip(names, values, strict=True))


def _text(line: bytes) -> str:
    """Decode; invalid UTF-8 becomes surrogates, which the contract rejects, so only the row is lost."""
    return line.decode(errors="surrogateescape")
