"""Reads files row by row, in bounded memory.

An unreadable row has Unfit as its value; so has an extra last row of a truncated file.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, assert_never

from services.importers.places import Place, Stdin
from services.importers.readers import columnar, documents, tables
from services.importers.readers.data import Lines, as_utf8, unpacked, whole
from services.importers.readers.shape import Shape
from services.importers.rows import Refused, Row, Unfit


@dataclass(frozen=True)
class Reading:
    """An open file."""

    rows: Iterator[Row]
    fraction: Callable[[], float | None]
    """The share that has been read, from 0 to 1; None if unknown."""


@contextmanager
def reading(file: Place, shape: Shape) -> Iterator[Reading]:
    """The rows of a file. Raises Refused, OSError."""
    match shape.container:
        case "parquet":
            with _parquet(file) as read:
                yield read
        case "json":
            with _document(file, shape) as read:
                yield read
        case "jsonl" | "csv" | "cells" | "arrow":
            size = max(1, file.stat().st_size)
            with file.open("rb") as raw, unpacked(raw, shape.packing) as data:
                yield Reading(_rows(data, shape), _fraction(file, raw, size))
        case _:
            assert_never(shape.container)


def _rows(data: IO[bytes], shape: Shape) -> Iterator[Row]:
    match shape.container:
        case "arrow":
            return whole(lambda: columnar.arrow_rows(data, stream=shape.stream))
        case "csv":
            return whole(lambda: tables.table(_text(data, shape), shape))
        case "cells":
            return whole(lambda: tables.cells(_text(data, shape), shape))
        case "jsonl":
            return whole(lambda: _jsonl(_text(data, shape)))
        case "parquet" | "json":
            raise ValueError(f"{shape.container} is not read as a stream")
        case _:
            assert_never(shape.container)


def _text(data: IO[bytes], shape: Shape) -> IO[bytes]:
    return as_utf8(data, shape.encoding, returns=shape.returns)


def _jsonl(data: IO[bytes]) -> Iterator[Row]:
    lines = Lines(data)
    while True:
        try:
            value: bytes | Unfit = next(lines).strip()
        except StopIteration:
            return
        except Unfit as unfit:
            value = unfit
        if value:
            yield Row(lines.number, value)


@contextmanager
def _document(file: Place, shape: Shape) -> Iterator[Reading]:
    size = max(1, file.stat().st_size)
    opened: list[IO[bytes]] = []

    @contextmanager
    def open_again() -> Iterator[IO[bytes]]:
        with file.open("rb") as raw, unpacked(raw, shape.packing) as data:
            opened.append(raw)
            text = _text(data, shape)
            if shape.encoding == "utf-8":
                text = documents.without_bom(text)
            yield text

    def fraction() -> float | None:
        return _fraction(file, opened[-1], size)() if opened else 0.0

    rows = whole(lambda: documents.rows(open_again, shape.document, again=not isinstance(file, Stdin)))
    try:
        yield Reading(rows, fraction)
    finally:
        rows.close()  # type: ignore[attr-defined]


@contextmanager
def _parquet(file: Place) -> Iterator[Reading]:
    if isinstance(file, Stdin):
        raise Refused("Parquet cannot be read from standard input: use a file")
    done = 0

    def counted(rows: Iterator[Row]) -> Iterator[Row]:
        nonlocal done
        for row in rows:
            done += 1
            yield row

    with columnar.parquet_rows(file) as (rows, count):
        yield Reading(whole(lambda: counted(rows)), lambda: done / max(1, count))


def _fraction(file: Place, raw: IO[bytes], size: int) -> Callable[[], float | None]:
    if isinstance(file, Stdin):
        return lambda: None
    return lambda: 1.0 if raw.closed else raw.tell() / size
