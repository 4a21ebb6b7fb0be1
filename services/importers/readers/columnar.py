"""Reads Parquet and Arrow in batches of rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Final, cast

import pyarrow as pa
from pyarrow import parquet

from services.importers.places import Place
from services.importers.rows import Refused, Row, Unfit

ROWS: Final = 256
"""Rows per batch of Python objects; a row group is decoded column by column, never whole."""
STREAM_MAGIC: Final = b"\xff\xff\xff\xff"
FILE_MAGIC: Final = b"ARROW1"


@contextmanager
def parquet_rows(file: Place) -> Iterator[tuple[Iterator[Row], int]]:
    """The rows, and their number. Raises Refused, OSError."""
    with file.open("rb") as raw:
        try:
            # Pre-buffering keeps all pages to the end: 85 MB instead of 12 for a file of 76 MB.
            table = parquet.ParquetFile(raw, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise Refused(f"is not Parquet: {error}") from error
        with table:
            yield _rows(table.iter_batches(batch_size=ROWS)), table.metadata.num_rows


def arrow_rows(data: IO[bytes], *, stream: bool) -> Iterator[Row]:
    """The rows of an Arrow file, or of a stream as `datasets.save_to_disk` writes it; holds at most one batch."""
    if stream:
        yield from _rows(_stream_batches(data))
    else:
        yield from _rows(_file_batches(data))


def _stream_batches(data: IO[bytes]) -> Iterator[pa.RecordBatch]:
    with pa.ipc.open_stream(data) as reader:
        yield from reader


def _file_batches(data: IO[bytes]) -> Iterator[pa.RecordBatch]:
    with pa.ipc.open_file(data) as reader:
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)


def _rows(batches: Iterator[pa.RecordBatch]) -> Iterator[Row]:
    done = 0
    for batch in batches:
        for start in range(0, batch.num_rows, ROWS):
            for value in _objects(batch.slice(start, ROWS)):
                done += 1
                yield Row(done, value)


def _objects(batch: pa.RecordBatch) -> list[object]:
    try:
        return cast(list[object], batch.to_pylist())
    except UnicodeDecodeError:  # some writers break Parquet's UTF-8 rule: find the bad rows
        return [_object(batch.slice(number, 1)) for number in range(batch.num_rows)]


def _object(batch: pa.RecordBatch) -> Any:
    try:
        return batch.to_pylist()[0]
    except UnicodeDecodeError as error:
        return Unfit("row", f"is not UTF-8: {error}")
