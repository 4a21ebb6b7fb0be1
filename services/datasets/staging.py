"""Any number of rows in the order of their keys, in the memory of a few hundred: an external bucket sort.

DuckDB's own ORDER BY is not used: it keeps the texts that it sorts in memory (2.0.0 failed at 2.3 GB of them under a
limit of 1 GB). Keys are digests, so that their first two hex digits make 256 buckets of about one size.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

BATCH = 4_096
"""Rows that are shared out at a time: 16 for each bucket, about 40 MB of records."""

_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


def stage(batches: Iterable[pa.RecordBatch], folder: Path) -> Iterator[int]:
    """Share rows out over the buckets in a folder by their column `key` (a record id). Yields the rows done so far."""
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
    """All the rows by key, a bucket at a time; each bucket's file is removed when it has been read."""
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file, pa.ipc.open_stream(file) as reader:
            table = reader.read_all()
        path.unlink()
        yield table.sort_by("key")


def _by_bucket(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
    start = len("record-")
    names = pc.utf8_slice_codeunits(batch["key"], start, start + 2)
    ordered = batch.take(pc.sort_indices(names))
    first = 0
    for name, count in sorted(Counter(names.to_pylist()).items()):
        yield name, ordered.slice(first, count)
        first += count
