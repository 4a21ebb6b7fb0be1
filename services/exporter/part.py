"""A part as a Parquet file: written whole, and read for the ids in it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from services.contracts.base import VERSION
from services.exporter.disk import Disk, write_whole
from services.exporter.rows import Row, key_of
from services.exporter.schema import SCHEMA

_CONTRACT = b"reasonmed.contract"
"""The contract version of the code that wrote a part: which fields `content_digest` covers."""


def write_part(disk: Disk, path: Path, rows: Sequence[Row]) -> int:
    """Write the rows as one file, whole and for good. Returns its size in bytes."""
    schema = SCHEMA.with_metadata({_CONTRACT: VERSION.encode()})
    table = pa.Table.from_pylist(list(rows), schema=schema)

    def fill(file: BinaryIO) -> None:
        pq.write_table(table, file, compression="zstd")

    write_whole(disk, path, fill)
    return path.stat().st_size


def read_ids(path: Path) -> Iterator[tuple[bytes, int | None]]:
    """Each record id in a part, as 16 bytes, with its digest; None where another contract version made that."""
    with pq.ParquetFile(path) as file:
        comparable = (file.schema_arrow.metadata or {}).get(_CONTRACT) == VERSION.encode()
        for batch in file.iter_batches(columns=["record_id", "content_digest"]):
            digests = batch["content_digest"].to_pylist()
            for record_id, digest in zip(batch["record_id"].to_pylist(), digests, strict=True):
                yield key_of(record_id), digest if comparable else None
