"""Files, row by row, in memory that doesn't grow with the file.

What can't be read comes as a row that says so: its value is Unfit. So does the end of a file that breaks off.
"""

import csv
import gzip
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

import ijson  # type: ignore[import-untyped]
import orjson
from pyarrow import ArrowException, RecordBatch, parquet  # type: ignore[import-untyped]

from services.core.case.sizes import QUESTION_BYTES
from services.importers.rows import Refused, Row, Unfit

Container = Literal["jsonl", "csv", "cells", "parquet", "keyed"]
"""JSON lines; CSV with a header, and without; Parquet; one JSON object whose fields are the rows."""

HEAD = 64 * 1024
"""Bytes at a file's beginning that tell its container: far more than a first line of any known source."""
PARQUET_ROWS = 256
"""Rows that are made into Python objects at once; a row group is decoded column by column, never whole."""
LINE = QUESTION_BYTES + 2
"""Bytes of a line, with its end, from which on it is too long."""
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Reading:
    """An open file."""

    rows: Iterator[Row]
    fraction: Callable[[], float | None]
    """How much of it has been read, from 0 to 1; None where nobody knows."""


@contextmanager
def reading(file: Path | None, container: Container) -> Iterator[Reading]:
    """The rows of a file, or, for None, of standard input. Raises Refused, OSError."""
    if container == "parquet":
        with _parquet(file) as open_parquet:
            yield open_parquet
    elif file is None:
        yield Reading(_READERS[container](sys.stdin.buffer), lambda: None)
    else:
        size = max(1, file.stat().st_size)
        with file.open("rb") as raw, _unpacked(file, raw) as data:
            yield Reading(_READERS[container](data), lambda: raw.tell() / size)


def container_of(file: Path) -> Container:
    """By its name, or, where that says too little, by its beginning. Raises Refused, OSError."""
    suffix = Path(file.name.removesuffix(".gz")).suffix
    if suffix in (".jsonl", ".ndjson"):
        return "jsonl"
    if suffix == ".csv":
        return "csv"
    if suffix == ".parquet":
        return "parquet"
    try:
        with file.open("rb") as raw, _unpacked(file, raw) as data:
            head = data.read(HEAD).removeprefix(BOM)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Refused(f"can't be unpacked: {error}") from error
    if head.startswith(b"PAR1"):
        return "parquet"
    if not head.strip():
        return "jsonl"
    if head.lstrip().startswith(b"{"):
        return "jsonl" if _is_row(head.lstrip().partition(b"\n")[0]) else "keyed"
    raise Refused("is neither JSON lines nor CSV nor Parquet, by its name or its beginning: say which with --format")


def _is_row(line: bytes) -> bool:
    """Whether a first line is a whole row of JSON lines; a keyed object in one line has nothing but objects in it."""
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(fields, dict) and not (fields and all(isinstance(value, dict) for value in fields.values()))


@contextmanager
def _unpacked(file: Path, raw: IO[bytes]) -> Iterator[IO[bytes]]:
    if file.suffix != ".gz":
        yield raw
        return
    with gzip.open(raw, "rb") as data:
        yield cast(IO[bytes], data)


def _whole(read: Callable[[IO[bytes]], Iterator[Row]]) -> Callable[[IO[bytes]], Iterator[Row]]:
    """The same reader, which tells as a last row that the file breaks off."""

    def rows(data: IO[bytes]) -> Iterator[Row]:
        line = 0
        try:
            for row in read(data):
                assert isinstance(row.line, int)
                line = row.line
                yield row
        except (EOFError, zlib.error, gzip.BadGzipFile, ijson.JSONError) as error:
            yield Row(line + 1, Unfit("file", f"can't be read from here on: {' '.join(str(error).split())[:200]}"))

    return rows


class _Lines:
    """A file's lines with their ends. One that is too long is passed over: it raises Unfit, the next one follows."""

    def __init__(self, data: IO[bytes]) -> None:
        self.number = 0
        """Of the line that came last."""
        self._data = data

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not (line := self._data.readline(LINE)):
            raise StopIteration
        self.number += 1
        if len(line) == LINE:
            while line and not line.endswith(b"\n"):
                line = self._data.readline(LINE)
            raise Unfit("row", f"a question is at most {QUESTION_BYTES:,} bytes, this line is longer")
        return line.removeprefix(BOM) if self.number == 1 else line


def _jsonl(data: IO[bytes]) -> Iterator[Row]:
    lines = _Lines(data)
    while True:
        try:
            value: bytes | Unfit = next(lines).strip()
        except StopIteration:
            return
        except Unfit as unfit:
            value = unfit
        if value:
            yield Row(lines.number, value)


def _cells(data: IO[bytes]) -> Iterator[Row]:
    lines = _Lines(data)
    records = csv.reader(map(_text, lines), strict=True)
    while True:
        first = lines.number + 1
        try:
            value: list[str] | Unfit = next(records)
        except StopIteration:
            return
        except Unfit as unfit:
            value = unfit
        except csv.Error as error:  # the next record begins with the next line
            value = Unfit("row", f"no CSV: {error}")
        if value:
            yield Row(first, value)


def _text(line: bytes) -> str:
    """Bytes that are no UTF-8 become surrogates, which the contract refuses: a row is lost by them, not the file."""
    return line.decode(errors="surrogateescape")


def _csv(data: IO[bytes]) -> Iterator[Row]:
    rows = _cells(data)
    header = next(rows, None)
    if header is None:
        return
    if isinstance(header.value, Unfit) or len(set(header.value)) < len(header.value):
        raise Refused("the first line is no header: the names of the columns, each once")
    for line, cells in rows:
        if isinstance(cells, list) and len(cells) != len(header.value):
            yield Row(line, Unfit("row", f"has {len(cells)} cells, the header {len(header.value)}"))
        else:
            yield Row(line, cells if isinstance(cells, Unfit) else dict(zip(header.value, cells, strict=True)))


def _keyed(data: IO[bytes]) -> Iterator[Row]:
    for number, (key, value) in enumerate(ijson.kvitems(data, "", use_float=True), start=1):
        yield Row(number, {key: value})


_READERS: dict[Container, Callable[[IO[bytes]], Iterator[Row]]] = {
    "jsonl": _whole(_jsonl),
    "csv": _whole(_csv),
    "cells": _whole(_cells),
    "keyed": _whole(_keyed),
}


@contextmanager
def _parquet(file: Path | None) -> Iterator[Reading]:
    if file is None:
        raise Refused("Parquet can't be read from standard input: name a file")
    try:
        # Pre-buffered, what was read is held to the end: 85 MB of a file of 76, instead of 12.
        table = parquet.ParquetFile(file, pre_buffer=False)
    except ArrowException as error:
        raise Refused(f"is no Parquet: {error}") from error
    done = 0

    def rows() -> Iterator[Row]:
        nonlocal done
        try:
            for batch in table.iter_batches(batch_size=PARQUET_ROWS):
                for value in _objects(batch):
                    done += 1
                    yield Row(done, value)
        except (ArrowException, OSError) as error:
            yield Row(done + 1, Unfit("file", f"can't be read from here on: {error}"))

    with table:
        yield Reading(rows(), lambda: done / max(1, table.metadata.num_rows))


def _objects(batch: RecordBatch) -> list[object]:
    try:
        return cast(list[object], batch.to_pylist())
    except UnicodeDecodeError:  # Parquet promises UTF-8, and not every writer keeps it: find the rows
        return [_object(batch.slice(number, 1)) for number in range(batch.num_rows)]


def _object(batch: RecordBatch) -> object:
    try:
        return batch.to_pylist()[0]
    except UnicodeDecodeError as error:
        return Unfit("row", f"no UTF-8: {error}")
