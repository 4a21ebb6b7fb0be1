"""A file goes in once, whatever interrupts it; what is in is not read again, and what is no question is kept."""

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from services.core.errors import BrokerAway
from services.core.messages import OutgoingRecord
from services.importers import positions
from services.importers.files import Observer, Result, submit_file, submit_stdin
from services.importers.folders import arrivals, complete, walk
from services.importers.formats import Asked
from services.importers.names import Format
from services.importers.rejects import Rejects
from services.importers.rows import Rejected
from services.importers.submit import BATCH, PatientSink, Stop
from tests.unit.importers import sources
from tests.unit.importers.sources import ROW, STEM, TEXTS, ListSink, lines, table, written

CLUSTER = "cluster-1"


async def took(
    file: Path, sink: ListSink, *, asked: Asked | None = None, cluster: str = CLUSTER, observer: Observer | None = None
) -> Result:
    return await submit_file(file, asked or Asked(), cluster, sink, observer=observer or Observer(), stop=Stop())


def numbered(count: int, bad: int = 0) -> list[Any]:
    """Rows of which each `bad`th is none."""
    return [{"question": n} if bad and n % bad == 0 else {**ROW, "id": str(n)} for n in range(count)]


def ids(sink: ListSink) -> list[str | None]:
    return [question.id for question in sink.questions]


def kept_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def kept(file: Path) -> Path:
    """Where the position of a local file is kept."""
    beside = positions.beside(file)
    assert isinstance(beside, Path)
    return beside


async def test_valid_rows_are_submitted_and_others_kept_with_the_reason(tmp_path: Path) -> None:
    file = written(tmp_path / "q.jsonl", lines([ROW, {"question": "?"}, ROW]) + b"not json\n\xff\n")
    heard: list[Rejected] = []
    result = await took(file, ListSink(), observer=Observer(rejected=heard.append))
    assert result == Result(
        str(file), "done", None, "questions", 0, 2, 3, 0, str(tmp_path / "q.jsonl.rejected.jsonl")
    )  # fmt: skip
    first, second, third = kept_rows(tmp_path / "q.jsonl.rejected.jsonl")
    assert (first["line"], first["field"], first["row"]) == (2, "options", {"question": "?"})
    assert (second["line"], second["field"], second["row"]) == (4, "row", "not json")
    assert (third["line"], third["row"]) == (5, "\\xff")
    assert [row.line for row in heard] == [2, 4, 5]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "keyed"])
async def test_an_interrupted_run_resumes(kind: str, tmp_path: Path) -> None:
    count = 3 * BATCH + 7
    file = tmp_path / {"keyed": "q.json"}.get(kind, f"q.{kind}")
    if kind == "parquet":
        parquet.write_table(pa.Table.from_pylist([{**ROW, "id": str(n)} for n in range(count)]), file)
    elif kind == "csv":
        header = ["id", "question", *"ABCD", "answer"]
        file.write_bytes(table([header, *([str(n), STEM + "\n", *TEXTS, "C"] for n in range(count))]))
    elif kind == "keyed":
        file.write_text(json.dumps({f"pmid-{n}": sources.pubmedqa() for n in range(count)}))
    else:
        file.write_bytes(lines(numbered(count)))
    first, second = ListSink(away_from=2), ListSink()
    with pytest.raises(BrokerAway):
        await took(file, first)
    result = await took(file, second)
    assert [str(name).removeprefix("pmid-") for name in ids(first) + ids(second)] == [str(n) for n in range(count)]
    assert (result.state, result.submitted) == ("done", BATCH + 7)
    assert result.after_line > 0


async def test_rejected_rows_of_an_interrupted_run_are_kept_once(tmp_path: Path) -> None:
    file = written(tmp_path / "q.jsonl", lines(numbered(3 * BATCH, bad=10)))
    with pytest.raises(BrokerAway):
        await took(file, ListSink(away_from=1))
    result = await took(file, ListSink())
    kept = kept_rows(Path(result.rejected_file or ""))
    assert [row["row"]["question"] for row in kept] == list(range(0, 3 * BATCH, 10))
    assert result.rejected == 2 * BATCH // 10


async def test_a_submitted_file_is_skipped_until_it_changes(tmp_path: Path) -> None:
    file = written(tmp_path / "q.jsonl", lines(numbered(3, bad=3)))
    await took(file, ListSink())
    again = ListSink()
    assert (await took(file, again)).state == "already"
    assert again.batches == []
    assert kept_rows(tmp_path / "q.jsonl.rejected.jsonl")

    for change in (
        {"cluster": "cluster-2"},
        {"asked": Asked(recipe_id="recipe-" + "0" * 32)},
        {"asked": Asked(format="questions")},
    ):
        sink = ListSink()
        assert (await took(file, sink, **change)).state == "done"
        assert ids(sink) == ["1", "2"]

    os.utime(file, ns=(0, 0))
    assert (await took(file, ListSink())).state == "done"
    file.write_bytes(lines(numbered(4)))
    sink = ListSink()
    assert (await took(file, sink)).state == "done"
    assert len(ids(sink)) == 4
    assert not (tmp_path / "q.jsonl.rejected.jsonl").exists()  # the new file has none

    kept(file).write_text("{")
    assert (await took(file, ListSink())).state == "done"
    kept(file).unlink()
    assert (await took(file, ListSink())).state == "done"


async def test_an_unwritable_position_is_reported_once_and_all_rows_are_submitted(tmp_path: Path) -> None:
    file = written(tmp_path / "q.jsonl", lines(numbered(2 * BATCH)))
    kept(file).mkdir()  # the user who runs the test may be allowed to write everywhere
    said: list[str] = []
    sink = ListSink()
    assert (await took(file, sink, observer=Observer(warned=said.append))).state == "done"
    assert len(ids(sink)) == 2 * BATCH
    assert len(said) == 1


async def test_a_file_of_unknown_base_is_refused_whole(tmp_path: Path) -> None:
    file = written(tmp_path / "train.json", lines([sources.medmcqa(cop) for cop in (1, 2, 3)]))
    sink, said = ListSink(), list[str]()
    result = await took(file, sink, observer=Observer(warned=said.append))
    assert (result.state, sink.batches) == ("refused", [])
    assert "medmcqa-from-1" in (result.why or "")
    assert said
    assert not kept(file).exists()


async def test_ctrl_c_stops_after_the_batch_and_the_next_run_resumes(tmp_path: Path) -> None:
    file = written(tmp_path / "q.jsonl", lines(numbered(3 * BATCH)))
    stop, first, second = Stop(), ListSink(), ListSink()
    observer = Observer(progress=lambda fraction, counts: stop.set())
    result = await submit_file(file, Asked(), CLUSTER, first, observer=observer, stop=stop)
    assert (result.state, result.submitted) == ("stopped", BATCH)
    assert (await took(file, second)).state == "done"
    assert ids(first) + ids(second) == [str(n) for n in range(3 * BATCH)]


async def test_progress_comes_batch_by_batch_up_to_all(tmp_path: Path) -> None:
    file = written(tmp_path / "q.jsonl", lines(numbered(20 * BATCH, bad=2)))
    seen: list[tuple[float | None, int, int]] = []
    observer = Observer(progress=lambda fraction, counts: seen.append((fraction, counts.submitted, counts.rejected)))
    await took(file, ListSink(), observer=observer)
    assert len(seen) == 20
    assert seen == sorted(seen)
    assert seen[-1] == (1.0, 10 * BATCH, 10 * BATCH)


@pytest.mark.parametrize(
    ("format", "data", "count"),
    [("auto", lines([ROW, ROW]), 2), ("mmlu", table([[STEM, *TEXTS, "C"]]), 1),
     ("pubmedqa", json.dumps({"1": sources.pubmedqa()}).encode(), 1), ("auto", lines([sources.medmcqa(4)]), None),
     ("parquet", b"PAR1", None)],
)  # fmt: skip
async def test_standard_input(
    format: Format, data: bytes, count: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with written(tmp_path / "in", data).open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        sink, rejects = ListSink(), Rejects(tmp_path / "stdin.rejected.jsonl", keep=0)
        result = await submit_stdin(Asked(format), sink, rejects, observer=Observer(), stop=Stop())
    assert (result.state, result.submitted) == (("refused", 0) if count is None else ("done", count))
    assert sum(map(len, sink.batches)) == (count or 0)


class TestAFolderThatIsWatched:
    def test_a_file_is_complete_once_it_stays_as_it_is(self) -> None:
        q = "q"
        assert complete({}, {q: (1, 1)}, {}) == []
        assert complete({q: (1, 1)}, {q: (2, 1)}, {}) == []
        assert complete({q: (2, 1)}, {q: (2, 1)}, {}) == [q]
        assert complete({q: (2, 1)}, {q: (2, 1)}, {q: (2, 1)}) == []
        assert complete({q: (3, 2)}, {q: (3, 2)}, {q: (2, 1)}) == [q]

    def test_only_question_files_are_taken(self, tmp_path: Path) -> None:
        for name in ("b.csv", "a.jsonl.gz", "a.jsonl.gz.rejected.jsonl", "b.csv.submitted.json", ".c.csv", "d.csv.part",
                     "readme.txt", "b.csv.submitted.json.new"):  # fmt: skip
            (tmp_path / name).touch()
        (tmp_path / "folder.csv").mkdir()
        assert [file.name for file in walk(tmp_path).files] == ["a.jsonl.gz", "b.csv"]

    async def test_files_are_submitted_as_they_arrive_and_again_when_they_change(self, tmp_path: Path) -> None:
        stop, seen = Stop(), list[str]()
        written(tmp_path / "a.jsonl", b"1")
        async for file in arrivals([tmp_path], stop, poll_s=0.001):
            seen.append(file.name)
            match len(seen):
                case 1:
                    written(tmp_path / "b.jsonl", b"1")
                case 2:
                    written(tmp_path / "a.jsonl", b"12")
                case 3:
                    stop.set()
        assert seen == ["a.jsonl", "b.jsonl", "a.jsonl"]


class AwayOnce:
    """A sink that is away the first time."""

    def __init__(self) -> None:
        self.tries = 0

    async def publish(self, messages: Sequence[OutgoingRecord]) -> None:
        self.tries += 1
        if self.tries == 1:
            raise BrokerAway("away")


async def test_a_patient_sink_waits_for_the_broker_until_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.importers.submit.AWAY_S", 0.001)
    inner, said, stop = AwayOnce(), list[str](), Stop()
    await PatientSink(inner, stop, said.append).publish([])
    assert (inner.tries, said) == (2, ["away"])
    stop.set()
    with pytest.raises(BrokerAway):
        await PatientSink(AwayOnce(), stop, said.append).publish([])


async def test_a_stop_ends_waits() -> None:
    stop = Stop()
    waiting = asyncio.create_task(stop.within(3600))
    await asyncio.sleep(0)
    stop.set()
    assert await waiting
