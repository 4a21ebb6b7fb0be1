"""Compaction beside writers and readers; the former format carried over."""

from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.contracts.base import VERSION
from services.core.messages import TopicPartition
from services.datasets.dataset import Dataset, read_dataset
from services.datasets.maintenance import MaintenanceFailed, carry_over, compact
from services.exporter.layout import RECORDS
from services.exporter.partition import Partition
from services.exporter.rows import export as row_of
from services.exporter.schema import SCHEMA
from services.exporter.table import BadTable, Table
from tests.unit.datasets.world import records, write_parts
from tests.unit.exporter.world import TOPIC, message, record, record_ids


def test_small_files_become_one_beside_a_writer_and_a_reader(tmp_path: Path) -> None:
    write_parts(tmp_path, [records(40), []], rows=2)
    writer = Partition.open(Table.open(str(tmp_path), RECORDS), TOPIC, 0)
    reader = Dataset.open(tmp_path)
    done = compact(str(tmp_path))
    assert (done.files_before, done.files_after, done.repeats_removed) == (20, 1, 0)

    writer.accept(message(40, record(100)), 0)
    assert writer.seal() is not None
    assert reader.table().num_rows == 40, "its files are still there"
    assert read_dataset(tmp_path).num_rows == 41
    assert Dataset.open(tmp_path).watermark() == {"0": 41}


def test_of_records_that_are_there_twice_the_first_stays(tmp_path: Path) -> None:
    made = records(6)
    write_parts(tmp_path, [made, [made[1], made[3].with_(summary="Another.")]])
    assert compact(str(tmp_path)).repeats_removed == 2
    assert sorted(record_ids(tmp_path)) == sorted(one.record_id for one in made)
    assert "Another." not in read_dataset(tmp_path)["summary"].to_pylist()


@pytest.fixture
def former(tmp_path: Path) -> Path:
    """Two parts of partition 0, a repeat after each; partition 1 with nothing but a dead letter."""
    parts = [former_part(tmp_path, 0, range(3)), former_part(tmp_path, 4, range(4, 6))]
    for number, next_offset, named in ((0, 7, parts), (1, 1, [])):
        manifest = {"format": 1, "topic": TOPIC, "partition": number, "next_offset": next_offset, "parts": named}
        (tmp_path / f"manifest-000{number}.json").write_bytes(orjson.dumps(manifest))
    return tmp_path


def former_part(folder: Path, first: int, offsets: range) -> dict[str, object]:
    name = f"part-0000-{first:012}.parquet"
    schema = pa.schema([field for field in SCHEMA if field.name not in ("written_at", "contract")])
    rows = [row_of(message(offset, record(offset))).rows[0] for offset in offsets]
    pq.write_table(
        pa.Table.from_pylist(rows, schema=schema.with_metadata({"reasonmed.contract": VERSION})), folder / name
    )
    return {"name": name, "first": offsets[0], "last": offsets[-1], "rows": len(rows)}


def test_the_former_format_is_refused_until_it_is_carried_over(former: Path) -> None:
    with pytest.raises(BadTable, match="reasonmed dataset import"):
        Table.open(str(former), RECORDS)
    done = carry_over(former, str(former))
    assert (done.records, done.partitions, done.already_there) == (5, 2, 0)
    assert read_dataset(former)["kafka_offset"].to_pylist() == [0, 1, 2, 4, 5]
    assert Table.open(str(former), RECORDS).next_offset(TopicPartition(TOPIC, 0)) == 7
    assert carry_over(former, str(former)).already_there == 2
    assert read_dataset(former).num_rows == 5


def test_a_repeat_of_what_was_carried_over_is_known(former: Path) -> None:
    carry_over(former, str(former))
    partition = Partition.open(Table.open(str(former), RECORDS), TOPIC, 0)
    partition.accept(message(7, record(1)), 0)
    part = partition.seal()
    assert part is not None
    assert (part.rows, part.dropped.equal) == (0, 1)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MaintenanceFailed, match="no manifest"):
        carry_over(tmp_path, str(tmp_path))
