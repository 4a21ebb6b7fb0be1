"""One partition: parts by rows and age, repeats, dead letters, and a writer that was overtaken."""

from pathlib import Path
from typing import Any

import pytest

from services.contracts.codec import decode, encode
from services.contracts.dead import DEAD_LETTER_HEADER, DeadLetter
from services.core.messages import ConsumedRecord
from services.datasets.dataset import Dataset, read_dataset
from services.exporter.layout import RECORDS
from services.exporter.partition import Dropped, Limits, Part, Partition, TooManyDead
from services.exporter.table import PartitionLost, Table
from tests.unit.exporter.world import TOPIC, edited, message, record, record_ids


def opened(folder: Path, number: int = 0, *, first: int = 0, **limits: Any) -> Partition:
    return Partition.open(Table.open(str(folder), RECORDS), TOPIC, number, first=first, limits=Limits(**limits))


def export(folder: Path, *messages: ConsumedRecord, first: int = 0, **limits: Any) -> Part:
    """All in one part, by a writer of its own."""
    partition = opened(folder, first=first, **limits)
    for each in messages:
        partition.accept(each, 0)
    part = partition.seal()
    assert part is not None
    return part


def test_records_are_there_once_with_their_offsets(tmp_path: Path) -> None:
    export(tmp_path, *(message(n, record(n)) for n in range(5)))
    export(tmp_path, *(message(n, record(n)) for n in range(5, 9)))

    table = read_dataset(tmp_path)
    assert table["kafka_offset"].to_pylist() == list(range(9))
    assert table["record_id"].to_pylist() == [record(n).record_id for n in range(9)]
    assert len(Dataset.open(tmp_path).files) == 2
    assert Dataset.open(tmp_path).watermark() == {"0": 9}


def test_a_folder_of_nothing_is_an_empty_dataset(tmp_path: Path) -> None:
    assert read_dataset(tmp_path).num_rows == 0
    assert Dataset.open(tmp_path).watermark() == {}


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


def test_an_equal_repeat_is_dropped_and_counted(tmp_path: Path) -> None:
    first = export(tmp_path, message(0, record(1)), message(1, record(1)))
    last = export(tmp_path, message(2, record(1)), message(3, record(2)))
    assert record_ids(tmp_path) == [record(1).record_id, record(2).record_id]
    assert (first, last) == (Part(1, Dropped(equal=1), 2), Part(1, Dropped(equal=1), 4))
    assert [each["dropped"]["equal"] for each in Dataset.open(tmp_path).commits()] == [1, 1]


def test_ids_that_the_topic_no_longer_holds_are_not_loaded(tmp_path: Path) -> None:
    """They can come again only as new messages, after the topic's retention: `compact` removes those."""
    export(tmp_path, message(0, record(0)), message(1, record(1)))
    last = export(tmp_path, message(2, record(0)), message(3, record(1)), first=1)
    assert last.dropped == Dropped(equal=1)


def test_a_repeat_of_another_minor_version_is_equal(tmp_path: Path) -> None:
    newer = edited(record(1), version="1.7", later="field")
    sent = ConsumedRecord(TOPIC, 0, 1, record(1).case_id.encode(), newer, {})
    assert export(tmp_path, message(0, record(1)), sent).dropped == Dropped(equal=1)


def test_a_differing_repeat_is_a_defect_and_the_first_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export(tmp_path, message(0, record(1)))
    last = export(tmp_path, message(1, record(1, summary="another")))
    assert last.dropped == Dropped(differing=1)
    assert read_dataset(tmp_path)["summary"].to_pylist() == ["Summary 1."]
    assert record(1).record_id in capsys.readouterr().out


def test_a_repeat_of_what_another_contract_version_wrote_cannot_be_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr("services.exporter.rows.VERSION", "1.0")
        export(tmp_path, message(0, record(1)))
    assert export(tmp_path, message(1, record(1))).dropped == Dropped(unchecked=1)


def test_only_repeats_move_the_position_and_add_no_file(tmp_path: Path) -> None:
    export(tmp_path, message(0, record(1)))
    last = export(tmp_path, message(1, record(1)), message(2, record(1)))
    assert (last.rows, last.next_offset) == (0, 3)
    assert len(Dataset.open(tmp_path).files) == 1
    assert opened(tmp_path).next_offset == 3


def test_a_message_before_the_position_is_passed_over(tmp_path: Path) -> None:
    export(tmp_path, message(0, record(0)), message(1, record(1)))
    last = export(tmp_path, message(0, record(0)), message(1, record(1)), message(2, record(2)))
    assert last == Part(1, Dropped(), 3)


def test_offsets_without_a_message_are_accounted_for(tmp_path: Path) -> None:
    assert export(tmp_path, message(4, record(4)), message(7, record(7))) == Part(2, Dropped(absent=6), 8)


def test_a_bad_message_becomes_a_dead_letter_with_its_bytes(tmp_path: Path) -> None:
    partition = opened(tmp_path)
    partition.accept(message(0, b"no record"), 0)
    partition.accept(message(1, record(1)), 0)

    (letter,) = partition.dead_letters
    assert (letter.topic, letter.key, letter.value) == ("exporter-dead", b"key", b"no record")
    reason = decode(DeadLetter, letter.headers[DEAD_LETTER_HEADER])
    assert (reason.kind, reason.topic, reason.partition, reason.offset) == ("poison", TOPIC, 0, 0)

    assert partition.seal() == Part(1, Dropped(dead=1), 2)
    assert partition.dead_letters == ()


def test_a_flood_of_dead_letters_stops_before_any_is_passed(tmp_path: Path) -> None:
    partition = opened(tmp_path, dead=2)
    for offset in range(2):
        partition.accept(message(offset, b"no record"), 0)
    with pytest.raises(TooManyDead, match="record-completed/0 from offset 0"):
        partition.accept(message(2, b"no record"), 0)
    assert opened(tmp_path).next_offset == 0


def test_of_two_writers_of_a_partition_the_first_to_commit_wins(tmp_path: Path) -> None:
    zombie, heir = opened(tmp_path), opened(tmp_path)
    for writer in (zombie, heir):
        writer.accept(message(0, record(0)), 0)
    heir.accept(message(1, record(1)), 0)
    heir.seal()
    with pytest.raises(PartitionLost):
        zombie.seal()
    assert record_ids(tmp_path) == [record(0).record_id, record(1).record_id]
    assert opened(tmp_path).next_offset == 2


def test_a_writer_that_commits_other_partitions_meanwhile_is_refused_all_the_same(tmp_path: Path) -> None:
    """Its view of the table has then moved past the other writer's commit."""
    table = Table.open(str(tmp_path), RECORDS)
    zombie, other = Partition.open(table, TOPIC, 0), Partition.open(table, TOPIC, 1)
    zombie.accept(message(0, record(0)), 0)
    export(tmp_path, message(0, record(0)))
    other.accept(message(0, record(1), 1), 0)
    other.seal()
    with pytest.raises(PartitionLost):
        zombie.seal()
    assert record_ids(tmp_path) == [record(0).record_id, record(1).record_id]


def test_an_empty_commit_is_refused_too(tmp_path: Path) -> None:
    export(tmp_path, message(0, record(0)))
    zombie = opened(tmp_path)
    zombie.accept(message(1, record(0)), 0)
    export(tmp_path, message(1, record(1)))
    with pytest.raises(PartitionLost):
        zombie.seal()


def test_columns_are_described(tmp_path: Path) -> None:
    export(tmp_path, message(0, record(0)))
    with_description = Dataset.open(tmp_path).schema().field("chain")
    assert with_description.metadata[b"description"] == b"The chain of thought."


def test_bytes_of_the_open_part_are_known(tmp_path: Path) -> None:
    partition = opened(tmp_path)
    partition.accept(message(0, record(0)), 0)
    assert partition.bytes == len(encode(record(0)))
    partition.seal()
    assert partition.bytes == 0


def test_a_writer_goes_on_after_commits_without_a_row(tmp_path: Path) -> None:
    """Its own commits are no other writer's."""
    export(tmp_path, message(0, record(0)))
    partition = opened(tmp_path)
    for offset in range(1, 4):
        partition.accept(message(offset, record(0)), 0)
        assert partition.seal() == Part(0, Dropped(equal=1), offset + 1)
    partition.accept(message(4, record(1)), 0)
    partition.seal()
    assert opened(tmp_path).next_offset == 5
