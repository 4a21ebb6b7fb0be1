"""Maintains a dataset: merges small files, removes repeats, imports the former format."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError

from services.contracts.topics import RECORD_COMPLETED
from services.core.errors import Trouble
from services.datasets.dataset import Dataset
from services.exporter.table import FORMER, WRITER, Table, table_uri

FILE_BYTES = 256 * 2**20
"""Bytes of a compacted file: a million records make about ten."""
KEEP_HOURS = 168
"""Hours that replaced files are kept, one week, for readers of older versions."""


class MaintenanceFailed(Trouble):
    """Nothing or only a part was changed; the same command resumes."""


@dataclass(frozen=True)
class Compacted:
    """The result of a compaction."""

    files_before: int
    files_after: int
    repeats_removed: int
    files_deleted: int


@dataclass(frozen=True)
class Imported:
    """The result of an import."""

    records: int
    partitions: int
    already_there: int
    """Parts that an earlier run had imported."""


def compact(where: str, *, target_bytes: int = FILE_BYTES) -> Compacted:
    """Remove repeated records, merge small files, delete files that were replaced a week ago.

    Safe while exporters and readers run. Raises MaintenanceFailed, also if another compaction is running.
    """
    uri = table_uri(where)
    try:
        before = len(Dataset.open(uri).files)
        removed = _remove_repeats(uri)
        table = DeltaTable(uri)
        table.optimize.compact(target_size=target_bytes, max_concurrent_tasks=1, writer_properties=WRITER)
        table.create_checkpoint()
        deleted = table.vacuum(retention_hours=KEEP_HOURS, dry_run=False)
    except CommitFailedError as error:
        raise MaintenanceFailed(f"another compaction of {uri} runs, try again later: {error}") from error
    except (DeltaError, OSError, duckdb.Error) as error:
        raise MaintenanceFailed(f"can't compact {uri}: {error}") from error
    return Compacted(before, len(Dataset.open(uri).files), removed, len(deleted))


def carry_over(former: Path, where: str) -> Imported:
    """Copy a dataset of parts and manifests into a Delta table, which may be in the same folder. Idempotent.

    Raises MaintenanceFailed.
    """
    manifests = [orjson.loads(path.read_bytes()) for path in sorted(former.glob(FORMER))]
    if not manifests:
        raise MaintenanceFailed(f"{former} has no manifest-*.json: it is not a dataset of the former format")
    table = Table.create(table_uri(where), RECORD_COMPLETED)
    records = already = 0
    try:
        for manifest in manifests:
            at = table.next_offset(manifest["partition"])
            for position, path in _parts(former, manifest):
                if position <= at:
                    already += path is not None
                    continue
                rows = _rows(path) if path else []
                _append(table, rows, manifest["partition"], at, position)
                records, at = records + len(rows), position
    except (DeltaError, OSError, pa.ArrowInvalid) as error:
        raise MaintenanceFailed(f"can't import {former}: {error}. Run it again: it resumes from here") from error
    return Imported(records, len(manifests), already)


def _parts(former: Path, manifest: dict[str, Any]) -> Iterator[tuple[int, Path | None]]:
    """The position after each part, with its file; then the manifest's position, which covers offsets without a row."""
    for part in manifest["parts"]:
        yield part["last"] + 1, former / part["name"]
    if not manifest["parts"] or manifest["next_offset"] > manifest["parts"][-1]["last"] + 1:
        yield manifest["next_offset"], None


def _rows(path: Path) -> list[dict[str, Any]]:
    """A part's rows. Newer columns are null."""
    found = pq.read_table(path)
    contract = (found.schema.metadata or {}).get(b"reasonmed.contract")
    rows: list[dict[str, Any]] = found.to_pylist()
    return [{**row, "contract": contract.decode() if contract else None} for row in rows]


def _append(table: Table, rows: list[dict[str, Any]], partition: int, at: int, position: int) -> None:
    dropped = {"unknown": position - at - len(rows)}
    notes = {
        "reasonmed.partition": str(partition),
        "reasonmed.offsets": f"{at}-{position - 1}",
        "reasonmed.dropped": orjson.dumps(dropped).decode(),
    }
    table.append(rows, partition, expected=at, next_offset=position, notes=notes)


_REPEATS = """
    SELECT kafka_partition, kafka_offset FROM (
        SELECT kafka_partition, kafka_offset, row_number() OVER (
            PARTITION BY record_id ORDER BY kafka_partition, kafka_offset
        ) AS nth
        FROM records WHERE record_id IN (SELECT record_id FROM records GROUP BY record_id HAVING count(*) > 1)
    ) WHERE nth > 1
"""


def _remove_repeats(uri: str) -> int:
    """Delete all but the first of the records with the same id."""
    with duckdb.connect(config={"memory_limit": "1GB", "autoinstall_known_extensions": False}) as connection:
        Dataset.open(uri).create_view(connection, "records")
        repeats = connection.execute(_REPEATS).fetchall()
    for start in range(0, len(repeats), 500):
        where = " OR ".join(
            f"(kafka_partition = {partition} AND kafka_offset = {offset})"
            for partition, offset in repeats[start : start + 500]
        )
        DeltaTable(uri).delete(where)
    return len(repeats)
