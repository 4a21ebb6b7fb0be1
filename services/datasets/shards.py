"""Writes one split as shards, in Parquet and as JSON lines."""

from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 1_000
"""Rows of a row group: about 10 MB of records, which a shuffling reader loads at a time."""
SHARD_BYTES = 256 * 2**20
"""The most bytes of JSON lines in a shard, unless one row group has more. A million records make about forty shards."""

PARQUET, JSONL = "data", "jsonl"
"""The folders of the two formats, each with one folder per split."""


class Shards:
    """The files of one split. Their bytes depend only on the rows and their order, not on batches."""

    def __init__(
        self,
        out: Path,
        split: str,
        schema: pa.Schema,
        *,
        not_in_json: Collection[str] = (),
        shard_bytes: int = SHARD_BYTES,
    ) -> None:
        self._out = out
        self._split = split
        self._schema = schema
        self._in_json = [name for name in schema.names if name not in not_in_json]
        self._limit = shard_bytes
        self._pending: pa.Table = schema.empty_table()
        self._open: tuple[pq.ParquetWriter, BinaryIO] | None = None
        self._bytes = 0
        self.count = 0
        """Shards so far."""

    def write(self, rows: pa.Table) -> None:
        """Add rows. Raises OSError."""
        self._pending = pa.concat_tables([self._pending, rows])
        while self._pending.num_rows >= ROWS:
            self._write_group(self._pending.slice(0, ROWS))
            self._pending = self._pending.slice(ROWS)

    def close(self) -> None:
        """Write the last row group. A split without rows has no files."""
        if self._pending.num_rows:
            self._write_group(self._pending)
        self.abandon()

    def abandon(self) -> None:
        """Close the open files."""
        if self._open:
            for file in self._open:
                file.close()
            self._open = None

    def _write_group(self, rows: pa.Table) -> None:
        objects = rows.select(self._in_json).to_pylist()
        lines = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in objects)
        if self._open is None or self._bytes + len(lines) > self._limit:
            self._open = self._next()
            self._bytes = 0
        parquet, jsonl = self._open
        parquet.write_table(rows.combine_chunks())
        jsonl.write(lines)
        self._bytes += len(lines)

    def _next(self) -> tuple[pq.ParquetWriter, BinaryIO]:
        self.abandon()
        folders = [self._out / kind / self._split for kind in (PARQUET, JSONL)]
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        name = f"{self.count:05}"
        self.count += 1
        parquet = pq.ParquetWriter(folders[0] / f"{name}.parquet", self._schema, compression="zstd")
        return parquet, (folders[1] / f"{name}.jsonl").open("wb")
