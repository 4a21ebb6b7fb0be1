"""Sorts any number of rows by key, in the memory of a few hundred rows: an external bucket sort.

DuckDB's ORDER BY keeps all sorted texts in memory (2.0.0 failed with 2.3 GB of text and a limit of 1 GB). Keys are
digests, so their first two hex digits make 256 buckets of similar size.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

BATCH = 4_096
"""Rows that are distributed at a time: 16 per bucket, about 40 MB of records."""

_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


def stage(batches: Iterable[pa.RecordBatch], folder: Path) -> Iterator[int]:
    """Distribute rows to buckets in a folder by the column `key`, the id of a record or path. Yields the number of
    rows so far."""
    done = 0
    with ExitStack() as files:
        buckets: dict[str, pa.RecordBatchWriter] = {}
        for batch in batches:
            for name, rows in _by_bucket(batch):
                if name not in buckets:
                    buckets[name] = files.enter_context(
                        pa.ipc.new_stream(str(folder / name), batch.schema, options=_OPTIONS)
                    )
                buckets[name].write_batch(rows)
            done += batch.num_rows
            yield done


def staged(folder: Path) -> Iterator[pa.Table]:
    """All rows sorted by key, one bucket at a time; each bucket's file is deleted after it was read."""
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file, pa.ipc.open_stream(file) as reader:
            table = reader.read_all()
        path.unlink()
        yield table.sort_by("key")


def _by_bucket(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
    start = len("record-")  # within the digits of a path's id as well
    names = pc.utf8_slice_codeunits(batch["key"], start, start + 2)
    ordered = batch.take(pc.sort_indices(names))
    first = 0
    for name, count in sorted(Counter(names.to_pylist()).items()):
        yield name, ordered.slice(first, count)
        first += count
