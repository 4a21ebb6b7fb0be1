"""Every path of an ended case is in the table of paths, with what the model thought; each case once."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from hypothesis import given

from services.contracts.base import CallId
from services.contracts.case import Case, Score, StepError, Steps, Usage
from services.contracts.codec import encode
from services.contracts.topics import CASE_ACCEPTED, CASE_REJECTED, both_lanes
from services.core.errors import LedgerAway
from services.core.ledger.calls import Reply
from services.core.ledger.ports import CallRow
from services.core.messages import ConsumedRecord, TopicPartition
from services.datasets.dataset import Dataset
from services.datasets.maintenance import compact
from services.exporter import path_rows, thinking
from services.exporter.layout import PATHS
from services.exporter.partition import Dropped, Part, Partition, TooManyDead
from services.exporter.path_schema import PATH_SCHEMA
from services.exporter.table import PartitionLost, Table
from tests.examples import CASE
from tests.strategies import case, correct, failed, path, questions, wrong
from tests.unit.exporter.fakes import FakeKafka, Running
from tests.unit.taps.streams import call

NEW = case()
ENDED = NEW.with_(
    paths=(
        correct(path(NEW, 0).with_(calls=(call(1, "generate"), call(2, "generate"), call(3, "verify")))),
        wrong(path(NEW, 1).with_(calls=(call(4, "generate"),)), stated="A"),
        failed(path(NEW, 2).with_(calls=(call(5, "generate"),))),
    ),
    kept=(path(NEW, 0).path_id,),
    difficulty="medium",
)


def message(offset: int, of: Case, topic: str = CASE_ACCEPTED, partition: int = 0) -> ConsumedRecord:
    return ConsumedRecord(topic, partition, offset, of.case_id.encode(), encode(of), {})


def opened(folder: Path, topic: str = CASE_ACCEPTED, *, first: int = 0) -> Partition:
    return Partition.open(Table.open(PATHS.uri(str(folder)), PATHS), topic, 0, first=first)


def export(folder: Path, *messages: ConsumedRecord, first: int = 0) -> Part:
    partition = opened(folder, messages[0].topic, first=first)
    for each in messages:
        partition.accept(each, 0)
    part = partition.seal()
    assert part is not None
    return part


def stored(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = Dataset.open(folder, PATHS).table().to_pylist()
    return sorted(rows, key=lambda row: (row["kafka_topic"], row["kafka_offset"], row["origin"], row["slot"]))


class Books:
    """A ledger with these calls' thinking; `away` makes it fail so often."""

    def __init__(self, thinking: Mapping[CallId, str], away: int = 0) -> None:
        self._thinking = thinking
        self.away = away

    async def found(self, call_ids: Sequence[CallId]) -> Mapping[CallId, CallRow]:
        if self.away:
            self.away -= 1
            raise LedgerAway("the ledger is away")
        rows = {name: self._thinking[name] for name in call_ids if name in self._thinking}
        return {name: CallRow(name, "one", 0.0, Reply("text", "stop", Usage(), text)) for name, text in rows.items()}


def test_right_wrong_and_failed_paths_are_rows_with_their_verdicts(tmp_path: Path) -> None:
    assert export(tmp_path, message(0, ENDED)) == Part(3, Dropped(), 1)
    right, false, none = stored(tmp_path)
    assert [row["standing"] for row in (right, false, none)] == ["correct", "error", "unknown"]
    assert (right["kept"], right["score"], right["ended"], right["difficulty"]) == (True, 3, "accepted", "medium")
    assert (false["reason"], false["stated"], false["gold"], false["kept"]) == ("Wrong in slot 1.", "A", "C", False)
    assert (none["failure"], none["text"], none["score"]) == ("timed out", "", None)
    assert right["question"] == NEW.question.question
    assert {option["letter"]: option["text"] for option in right["options"]} == NEW.question.options


def test_the_golden_case_has_a_value_for_each_column(tmp_path: Path) -> None:
    rows = path_rows.export(message(0, CASE), {}).rows
    assert all(set(row) == set(PATH_SCHEMA.names) for row in rows)
    assert len(rows) == len(CASE.paths)


@given(question=questions())
def test_any_question_fits_the_columns(question: Any) -> None:
    asked = case(question)
    (row,) = path_rows.export(message(0, asked.with_(paths=(correct(path(asked, 0)),))), {}).rows
    assert (row["question"], row["source"], row["context"]) == (
        question.question,
        question.source,
        list(question.context),
    )


def test_steps_in_error_are_kept(tmp_path: Path) -> None:
    error = StepError(step=1, kind="wrong_inference", severity="serious", reason="no")
    one = wrong(path(NEW, 0))
    assert one.verdict is not None
    of_steps = one.with_(verdict=one.verdict.with_(steps=Steps(ends=(4, 9), errors=(error,))))
    export(tmp_path, message(0, NEW.with_(paths=(of_steps,))))
    (row,) = stored(tmp_path)
    assert (row["step_ends"], [each["kind"] for each in row["errors"]]) == ([4, 9], ["wrong_inference"])


def test_a_wave_of_adaptive_sampling_changes_no_row(tmp_path: Path) -> None:
    plain, adaptive = (path_rows.export(message(0, each), {}) for each in (ENDED, ENDED.with_(wave=2)))
    assert [row["path_id"] for row in plain.rows] == [row["path_id"] for row in adaptive.rows]


def test_a_case_is_there_once_whichever_life_ends_it_again(tmp_path: Path) -> None:
    assert export(tmp_path, message(0, ENDED), message(1, ENDED)).dropped == Dropped(equal=1)
    assert export(tmp_path, message(2, ENDED.with_(life=1, call_life=0))).dropped == Dropped(equal=1)
    assert len(stored(tmp_path)) == 3


def test_other_paths_of_the_same_work_are_a_defect_and_the_first_stay(tmp_path: Path) -> None:
    export(tmp_path, message(0, ENDED))
    assert export(tmp_path, message(1, ENDED.with_(paths=ENDED.paths[:1]))).dropped == Dropped(differing=1)
    assert len(stored(tmp_path)) == 3


def test_a_case_without_paths_moves_the_position_and_adds_no_row(tmp_path: Path) -> None:
    assert export(tmp_path, message(0, NEW.with_(rejected="ended"), CASE_REJECTED)) == Part(0, Dropped(), 1)
    assert Dataset.open(tmp_path, PATHS).files == []


def test_partitions_of_different_topics_have_their_own_positions(tmp_path: Path) -> None:
    for number, topic in enumerate(PATHS.topics, start=1):
        other = NEW.with_(work_id=f"work-{number:032x}", paths=ENDED.paths)
        export(tmp_path, *(message(offset, other, topic) for offset in range(number)))
    expected = {TopicPartition(topic, 0): number for number, topic in enumerate(PATHS.topics, start=1)}
    assert Dataset.open(tmp_path, PATHS).positions() == expected
    assert set(PATHS.topics) == set(both_lanes(CASE_ACCEPTED, CASE_REJECTED))
    assert {row["kafka_topic"]: row["ended"] for row in stored(tmp_path)} == {
        topic: "rejected" if topic == CASE_REJECTED else "accepted" for topic in PATHS.topics
    }


def test_an_overtaken_writer_of_paths_is_refused(tmp_path: Path) -> None:
    zombie = opened(tmp_path)
    zombie.accept(message(0, ENDED), 0)
    export(tmp_path, message(0, ENDED))
    with pytest.raises(PartitionLost, match="case-accepted/0"):
        zombie.seal()
    assert len(stored(tmp_path)) == 3


def test_repeats_after_the_retention_are_removed_by_a_compaction(tmp_path: Path) -> None:
    for offset in range(3):
        export(tmp_path, message(offset, ENDED), first=offset)
    assert len(stored(tmp_path)) == 9
    assert compact(str(tmp_path), PATHS).repeats_removed == 6
    assert [row["kafka_offset"] for row in stored(tmp_path)] == [0, 0, 0]


def test_cleaning_the_outer_table_leaves_the_inner_one(tmp_path: Path) -> None:
    from tests.unit.datasets.world import records, write_parts

    write_parts(tmp_path, [records(4)], rows=2)
    export(tmp_path, message(0, ENDED))
    table = DeltaTable(str(tmp_path))
    table.optimize.compact()
    deleted = table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert deleted
    assert not [name for name in deleted if "_paths" in name]
    assert len(stored(tmp_path)) == 3


async def test_thinking_is_that_of_the_call_that_wrote_the_text() -> None:
    said = {
        call(1, "generate").call_id: "in vain",
        call(2, "generate").call_id: "so",
        call(3, "verify").call_id: "judge",
    }
    received = message(0, ENDED)
    found = await thinking.of_paths(Books(said))(received)
    rows = path_rows.export(received, found).rows
    assert [row["thinking"] for row in rows] == ["so", None, None], "of the others the ledger has none, or was pruned"
    assert await thinking.of_paths(Books(said))(ConsumedRecord(CASE_ACCEPTED, 0, 0, b"", b"no case", {})) == {}


def test_thinking_counts_against_the_memory_of_open_parts(tmp_path: Path) -> None:
    partition, name = opened(tmp_path), call(2, "generate").call_id
    partition.accept(message(0, ENDED), 0, {name: "x" * 1_000})
    assert partition.bytes == len(encode(ENDED)) + 1_000


async def test_while_the_ledger_is_away_nothing_is_written_without_its_thinking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.exporter.exporter.AWAY_S", 0.0)
    kafka = FakeKafka(layout=PATHS)
    kafka.topic[0] = [message(number, ENDED.with_(work_id=f"work-{str(number) * 32}")) for number in range(5)]
    books = Books({call(2, "generate").call_id: "so"}, away=4)
    running = Running(kafka, tmp_path, layout=PATHS, thinking=thinking.of_paths(books))
    assert await running.once()
    rows = stored(tmp_path)
    assert [row["thinking"] for row in rows if row["slot"] == 0] == ["so"] * 5
    assert [row["kafka_offset"] for row in rows] == [offset for offset in range(5) for _ in range(3)]


async def test_a_ledger_that_stays_away_is_no_stall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.exporter.exporter.AWAY_S", 0.0)
    kafka = FakeKafka(layout=PATHS)
    kafka.topic[0] = [message(0, ENDED)]
    running = Running(kafka, tmp_path, layout=PATHS, thinking=thinking.of_paths(Books({}, away=1_000_000)))
    exporting = asyncio.create_task(running.exporter.run(running.stop))
    while not running.holding.waits:  # noqa: ASYNC110 - a flag of the code under test
        await asyncio.sleep(0)
    await running.watch.look()
    kafka.now += 3_600
    await running.watch.look()
    running.stop.set()
    await exporting
    assert Dataset.open(tmp_path, PATHS).files == []


def test_what_is_no_case_is_counted_and_has_no_letter_which_would_end_a_case(tmp_path: Path) -> None:
    partition = opened(tmp_path)
    partition.accept(ConsumedRecord(CASE_ACCEPTED, 0, 0, b"key", b"no case", {}), 0)
    partition.accept(message(1, ENDED), 0)
    assert partition.dead_letters == ()
    assert partition.seal() == Part(3, Dropped(dead=1), 2)


def test_a_flood_of_what_is_no_case_stops_before_any_is_passed(tmp_path: Path) -> None:
    partition = opened(tmp_path)
    flood = [ConsumedRecord(CASE_ACCEPTED, 0, offset, b"key", b"no case", {}) for offset in range(101)]
    for each in flood[:-1]:
        partition.accept(each, 0)
    with pytest.raises(TooManyDead):
        partition.accept(flood[-1], 0)
    assert opened(tmp_path).next_offset == 0


def test_a_score_has_its_words(tmp_path: Path) -> None:
    one = correct(path(NEW, 0)).with_(score=Score(value=5, justification="clear"))
    export(tmp_path, message(0, NEW.with_(paths=(one,))))
    assert [row["score_justification"] for row in stored(tmp_path)] == ["clear"]
