"""One split as files: the same shards as Parquet and as JSON lines."""

from pathlib import Path
from typing import BinaryIO

import orjson
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

ROWS = 1_000
"""Of a row group: about 10 MB of records, which is what a reader that shuffles takes in at a time."""
SHARD_BYTES = 256 * 2**20
"""Of JSON lines in a shard, at most, unless one row group has more. A million records make about forty shards."""

PARQUET, JSONL = "data", "jsonl"
"""The folders of the two."""


class Shards:
    """The files of one split, whose bytes depend on the rows and their order alone, not on how they came."""

    def __init__(self, out: Path, split: str, schema: pa.Schema, *, shard_bytes: int = SHARD_BYTES) -> None:
        self._out = out
        self._split = split
        self._schema = schema
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
        """Write what is left. A split without rows has no files."""
        if self._pending.num_rows:
            self._write_group(self._pending)
        self.abandon()

    def abandon(self) -> None:
        """Let go of the files."""
        if self._open:
            for file in self._open:
                file.close()
            self._open = None

    def _write_group(self, rows: pa.Table) -> None:
        lines = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows.to_pylist())
        if self._open is None or self._bytes + len(lines) > self._limit:
            self._open = self._next()
            self._bytes = 0
        parquet, jsonl = self._open
        parquet.write_table(rows.combine_chunks())
        jsonl.write(lines)
        self._bytes += len(lines)

    def _next(self) -> tuple[pq.ParquetWriter, BinaryIO]:
        self.abandon()
        name = f"{self._split}-{self.count:05}"
        self.count += 1
        parquet = pq.ParquetWriter(self._out / PARQUET / f"{name}.parquet", self._schema, compression="zstd")
        return parquet, (self._out / JSONL / f"{name}.jsonl").open("wb")
