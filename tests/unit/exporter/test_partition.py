"""One partition: parts by rows and age, repeats, dead letters, locks, and a folder that isn't what it should be."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from services.contracts.base import VERSION
from services.contracts.codec import decode, encode
from services.contracts.dead import DEAD_LETTER_HEADER, DeadLetter
from services.core.messages import ConsumedRecord
from services.exporter.dataset import dataset_files, read_dataset
from services.exporter.manifest import BadFolder, Dropped, load
from services.exporter.partition import Limits, Partition, TooManyDead
from tests.unit.exporter.world import TOPIC, edited, message, record, record_ids


def opened(folder: Path, number: int = 0, **limits: Any) -> Partition:
    partition = Partition.open(folder, TOPIC, number, limits=Limits(**limits))
    assert partition is not None
    return partition


def export(folder: Path, *messages: ConsumedRecord, **limits: Any) -> Partition:
    """All in one part, by a writer of its own."""
    partition = opened(folder, **limits)
    for each in messages:
        partition.accept(each, 0)
    partition.seal()
    partition.release()
    return partition


def test_rows_stand_in_the_order_of_their_offsets(tmp_path: Path) -> None:
    export(tmp_path, *(message(n, record(n)) for n in range(5)))
    export(tmp_path, *(message(n, record(n)) for n in range(5, 9)))

    table = read_dataset(tmp_path)
    assert table["kafka_offset"].to_pylist() == list(range(9))
    assert table["record_id"].to_pylist() == [record(n).record_id for n in range(9)]
    assert [path.name for path in dataset_files(tmp_path)] == [
        "part-0000-000000000000.parquet",
        "part-0000-000000000005.parquet",
    ]


def test_a_folder_of_nothing_is_an_empty_dataset(tmp_path: Path) -> None:
    assert read_dataset(tmp_path).num_rows == 0


def test_a_part_is_due_by_rows_or_age(tmp_path: Path) -> None:
    partition = opened(tmp_path, rows=3, age_s=60)
    assert not partition.due(1_000)

    partition.accept(message(0, record(0)), now=1_000)
    partition.accept(message(1, record(1)), now=1_010)
    assert (partition.due(1_059.9), partition.due(1_060)) == (False, True)

    partition.accept(message(2, record(2)), now=1_011)
    assert partition.due(1_011)

    partition.seal()
    assert not partition.due(2_000)
    partition.release()


def test_an_equal_repeat_is_dropped_and_counted(tmp_path: Path) -> None:
    export(tmp_path, message(0, record(1)), message(1, record(1)))
    last = export(tmp_path, message(2, record(1)), message(3, record(2)))
    assert record_ids(tmp_path) == [record(1).record_id, record(2).record_id]
    assert last.manifest.dropped == Dropped(equal=2)
    assert last.manifest.next_offset == 4


def test_a_repeat_of_another_minor_version_is_equal(tmp_path: Path) -> None:
    newer = edited(record(1), version="1.7", later="field")
    sent = ConsumedRecord(TOPIC, 0, 1, record(1).case_id.encode(), newer, {})
    assert export(tmp_path, message(0, record(1)), sent).manifest.dropped == Dropped(equal=1)


def test_a_differing_repeat_is_a_defect_and_the_first_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export(tmp_path, message(0, record(1)))
    last = export(tmp_path, message(1, record(1, summary="another")))
    assert last.manifest.dropped == Dropped(differing=1)
    assert read_dataset(tmp_path)["summary"].to_pylist() == ["Summary 1."]
    assert record(1).record_id in capsys.readouterr().out


def test_a_repeat_of_what_another_contract_version_wrote_cannot_be_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr("services.exporter.part.VERSION", "1.9")
        export(tmp_path, message(0, record(1)))
    assert export(tmp_path, message(1, record(1))).manifest.dropped == Dropped(unchecked=1)


def test_only_repeats_move_the_manifest_and_make_no_part(tmp_path: Path) -> None:
    export(tmp_path, message(0, record(1)))
    last = export(tmp_path, message(1, record(1)), message(2, record(1)))
    assert (len(last.manifest.parts), last.manifest.next_offset) == (1, 3)


def test_a_message_that_was_taken_already_is_passed_over(tmp_path: Path) -> None:
    export(tmp_path, message(0, record(0)), message(1, record(1)))
    last = export(tmp_path, message(0, record(0)), message(1, record(1)), message(2, record(2)))
    assert (last.manifest.next_offset, last.manifest.dropped) == (3, Dropped())


def test_offsets_without_a_message_are_accounted_for(tmp_path: Path) -> None:
    last = export(tmp_path, message(4, record(4)), message(7, record(7)))
    assert (last.manifest.next_offset, last.manifest.dropped) == (8, Dropped(absent=6))


def test_a_bad_message_becomes_a_dead_letter_with_its_bytes(tmp_path: Path) -> None:
    partition = opened(tmp_path)
    partition.accept(message(0, b"no record"), 0)
    partition.accept(message(1, record(1)), 0)

    (letter,) = partition.dead_letters
    assert (letter.topic, letter.key, letter.value) == ("exporter-dead", b"key", b"no record")
    reason = decode(DeadLetter, letter.headers[DEAD_LETTER_HEADER])
    assert (reason.kind, reason.topic, reason.partition, reason.offset) == ("poison", TOPIC, 0, 0)

    partition.seal()
    assert partition.dead_letters == ()
    assert partition.manifest.dropped == Dropped(dead=1)
    partition.release()


def test_a_flood_of_dead_letters_stops_before_any_is_passed(tmp_path: Path) -> None:
    partition = opened(tmp_path, dead=2)
    for offset in range(2):
        partition.accept(message(offset, b"no record"), 0)
    with pytest.raises(TooManyDead, match="record-completed/0 from offset 0"):
        partition.accept(message(2, b"no record"), 0)
    partition.release()
    assert load(tmp_path, TOPIC, 0).next_offset == 0


def test_two_never_write_one_partition(tmp_path: Path) -> None:
    first = opened(tmp_path)
    assert Partition.open(tmp_path, TOPIC, 0) is None
    opened(tmp_path, 1).release()
    first.release()
    opened(tmp_path).release()


def test_partitions_share_a_folder(tmp_path: Path) -> None:
    for number in (0, 1):
        partition = opened(tmp_path, number)
        partition.accept(message(0, record(number), partition=number), 0)
        partition.seal()
        partition.release()
    assert read_dataset(tmp_path)["kafka_partition"].to_pylist() == [0, 1]


def test_what_no_manifest_names_is_removed_and_never_read(tmp_path: Path) -> None:
    export(tmp_path, message(0, record(0)))
    (part,) = dataset_files(tmp_path)
    for name in ("part-0000-000000000001.parquet", "part-0000-000000000009.parquet.tmp", "manifest-0000.json.tmp"):
        (tmp_path / name).write_bytes(part.read_bytes())
    others = tmp_path / "part-0001-000000000000.parquet"
    others.write_bytes(b"")

    assert read_dataset(tmp_path).num_rows == 1
    opened(tmp_path).release()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "lock-0000",
        "manifest-0000.json",
        "part-0000-000000000000.parquet",
        others.name,  # another partition's, and another's to remove
    ]


def test_a_folder_that_is_not_as_its_manifest_says_is_refused_untouched(tmp_path: Path) -> None:
    export(tmp_path, message(0, record(0)))
    (part,) = dataset_files(tmp_path)
    whole = part.read_bytes()

    part.write_bytes(whole[:-1])
    with pytest.raises(BadFolder, match="bytes"):
        opened(tmp_path)
    part.unlink()
    with pytest.raises(BadFolder, match="gone"):
        opened(tmp_path)
    part.write_bytes(whole)
    with pytest.raises(BadFolder, match="other-topic"):
        Partition.open(tmp_path, "other-topic", 0)
    opened(tmp_path).release()


@pytest.mark.parametrize("text", ["", "{", '{"format": 2}', '{"format":1,"topic":"t","partition":0,"next_offset":5}'])
def test_a_manifest_that_cannot_be_trusted_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest-0000.json").write_text(text)
    with pytest.raises(BadFolder):
        opened(tmp_path)


def test_parts_describe_their_columns(tmp_path: Path) -> None:
    export(tmp_path, message(0, record(0)))
    schema = pq.read_schema(dataset_files(tmp_path)[0])
    assert schema.field("chain").metadata[b"description"] == b"The chain of thought."
    assert schema.metadata[b"reasonmed.contract"] == VERSION.encode()


def test_bytes_of_the_open_part_are_known(tmp_path: Path) -> None:
    partition = opened(tmp_path)
    partition.accept(message(0, record(0)), 0)
    assert partition.bytes == len(encode(record(0)))
    partition.seal()
    assert partition.bytes == 0
    partition.release()
