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

from services.core.errors import Trouble
from services.core.messages import TopicPartition
from services.datasets.dataset import Dataset
from services.exporter.layout import PATHS, RECORDS, Layout
from services.exporter.table import FORMER, WRITER, Table, table_uri

FILE_BYTES = 256 * 2**20
"""Bytes of a compacted file: a million records make about ten."""
FIRST_BYTES = 4 * 2**20
"""Bytes of the files into which the smallest are merged first. The second pass is short, and merges what was committed
during the first as well."""
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


def compact(where: str, layout: Layout = RECORDS, *, target_bytes: int = FILE_BYTES) -> Compacted:
    """Remove repeated rows of a table, merge small files, delete files that were replaced a week ago.

    Safe while exporters and readers run. Raises MaintenanceFailed, also if another compaction is running.
    """
    uri = layout.uri(table_uri(where))
    try:
        before = len(Dataset.open(where, layout).files)
        removed = _remove_repeats(where, layout)
        for size in (min(FIRST_BYTES, target_bytes), target_bytes):
            table = DeltaTable(uri)
            table.optimize.compact(target_size=size, max_concurrent_tasks=1, writer_properties=WRITER)
        table.create_checkpoint()
        deleted = table.vacuum(retention_hours=KEEP_HOURS, dry_run=False)
    except CommitFailedError as error:
        raise MaintenanceFailed(f"another compaction of {uri} runs, try again later: {error}") from error
    except (DeltaError, OSError, duckdb.Error) as error:
        raise MaintenanceFailed(f"can't compact {uri}: {error}") from error
    return Compacted(before, len(Dataset.open(where, layout).files), removed, len(deleted))


def compact_all(where: str) -> dict[str, Compacted]:
    """Compact each table of a dataset that there is, by name. Raises as `compact`."""
    return {each.name: compact(where, each) for each in (RECORDS, PATHS) if Dataset.open(where, each).exists}


def carry_over(former: Path, where: str) -> Imported:
    """Copy a dataset of parts and manifests into a Delta table, which may be in the same folder. Idempotent.

    Raises MaintenanceFailed.
    """
    manifests = [orjson.loads(path.read_bytes()) for path in sorted(former.glob(FORMER))]
    if not manifests:
        raise MaintenanceFailed(f"{former} has no manifest-*.json: it is not a dataset of the former format")
    table = Table.create(table_uri(where), RECORDS)
    records = already = 0
    try:
        for manifest in manifests:
            partition = TopicPartition(RECORDS.topics[0], manifest["partition"])
            at = table.next_offset(partition)
            for position, path in _parts(former, manifest):
                if position <= at:
                    already += path is not None
                    continue
                rows = _rows(path) if path else []
                _append(table, rows, partition, at, position)
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


def _append(table: Table, rows: list[dict[str, Any]], partition: TopicPartition, at: int, position: int) -> None:
    dropped = {"unknown": position - at - len(rows)}
    notes = {
        "reasonmed.topic": partition.topic,
        "reasonmed.partition": str(partition.partition),
        "reasonmed.offsets": f"{at}-{position - 1}",
        "reasonmed.dropped": orjson.dumps(dropped).decode(),
    }
    table.append(rows, partition, expected=at, next_offset=position, notes=notes)


_REPEATS = """
    SELECT {place}, {unique} FROM (
        SELECT {place}, {unique}, row_number() OVER (PARTITION BY {unique} ORDER BY {place}) AS nth
        FROM stored WHERE {unique} IN (SELECT {unique} FROM stored GROUP BY {unique} HAVING count(*) > 1)
    ) WHERE nth > 1
"""


def _remove_repeats(where: str, layout: Layout) -> int:
    """Delete all but the first of the rows with the same id."""
    place = [*(["kafka_topic"] if len(layout.topics) > 1 else []), "kafka_partition", "kafka_offset"]
    with duckdb.connect(config={"memory_limit": "1GB", "autoinstall_known_extensions": False}) as connection:
        dataset = Dataset.open(where, layout)
        dataset.create_view(connection, "stored")
        query = _REPEATS.format(place=", ".join(place), unique=layout.unique)
        repeats = connection.execute(query).fetchall()
    for start in range(0, len(repeats), 500):
        rows = [zip([*place, layout.unique], row, strict=True) for row in repeats[start : start + 500]]
        same = (" AND ".join(f"{name} = {_literal(value)}" for name, value in row) for row in rows)
        DeltaTable(dataset.uri).delete(" OR ".join(f"({each})" for each in same))
    return len(repeats)


def _literal(value: str | int) -> str:
    """An id, topic or number, none of which needs an escape."""
    return f"'{value}'" if isinstance(value, str) else str(value)
