"""`reasonmed submit` without Kafka: what is refused before it starts, and what is reported."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest

from services.cli.__main__ import main
from services.cli.ingest import progress, submitting
from services.core.messages import Sink
from services.importers.files import Observer, Result
from services.importers.folders import PassedOver
from services.importers.formats import Asked
from services.importers.layouts import LAYOUTS
from services.importers.names import AUTO, FROM, OURS, PLAIN, Format
from services.importers.rows import Rejected
from services.importers.submit import Stop
from tests.unit.importers.sources import ROW, ListSink, lines, written


def run(*arguments: str) -> int:
    """The exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["submit", *arguments])
    code = ended.value.code
    assert isinstance(code, int)
    return code


def test_the_help_names_every_format() -> None:
    assert set(get_args(Format)) == {AUTO, OURS, *FROM, *PLAIN, *(layout.name for layout in LAYOUTS)}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "name files, folders or -"),
        (["a.jsonl", "--topic", "mine"], "and then no file"),
        (["-", "a.jsonl"], "comes alone"),
        (["a.jsonl", "--watch"], "needs a folder"),
        (["-", "--recipe", "mine"], "recipes list"),
        (["a.jsonl", "--format", "medqa", "--columns", "question=stem"], "not with medqa"),
        (["a.jsonl", "--columns", "stem=question"], "NAME=COLUMN"),
        (["a.jsonl", "--format", "excel"], "excel"),
        (["a.jsonl", "--columns", "answer_index=2"], "0 or 1"),
        (["a.jsonl", "--encoding", "klingon"], "unknown encoding"),
        (["a.jsonl", "--delimiter", "ab"], "one character"),
        (["--topic", "mine", "--dry-run"], "reads files"),
    ],
)
def test_invalid_options_are_usage_errors(arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    assert why in re.sub(r"[\s│]+", " ", capsys.readouterr().err)


def test_a_missing_file_is_reported_before_any_submission(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = written(tmp_path / "a.jsonl", lines([ROW]))
    assert run(str(there), str(tmp_path / "none.jsonl")) == 1
    assert "none.jsonl" in capsys.readouterr().err


class TestFilesAndFolders:
    async def taken(self, paths: Sequence[Path], sink: Sink, *, watch: bool = False, stop: Stop) -> list[Result]:
        observer = Observer(opened=lambda name, format, line: self.opened.append(Path(name).name))
        self.passed_over: list[PassedOver] = []
        return await submitting.submit_paths(
            paths, Asked(), "c", sink, observer=observer, stop=stop, watch=watch, passed_over=self.passed_over
        )

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path) -> Path:
        self.opened: list[str] = []
        for number, name in enumerate(["b.jsonl", "a.jsonl"]):
            written(tmp_path / name, lines([{**ROW, "id": str(number)}]))
        written(tmp_path / "c.csv", b"no,questions\n1,2\n")
        return tmp_path

    async def test_a_refused_file_of_a_folder_does_not_stop_the_others(self, folder: Path) -> None:
        sink = ListSink()
        results = await self.taken([folder], sink, stop=Stop())
        assert [(Path(result.name).name, result.state) for result in results] == [
            ("a.jsonl", "done"), ("b.jsonl", "done"), ("c.csv", "refused")
        ]  # fmt: skip
        assert [question.id for question in sink.questions] == ["1", "0"]
        again = await self.taken([folder], sink, stop=Stop())
        assert [result.state for result in again] == ["already", "already", "refused"]
        assert len(sink.questions) == 2

    async def test_watch_submits_arriving_files_until_a_stop(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("services.importers.folders.arrivals.__kwdefaults__", {"poll_s": 0.001})
        stop = Stop()

        class Arriving(ListSink):
            """A file arrives with each that goes in."""

            async def publish(self, messages: object) -> None:
                await super().publish(messages)  # type: ignore[arg-type]
                if len(self.batches) == 3:
                    stop.set()
                written(folder / f"d{len(self.batches)}.jsonl", lines([ROW]))

        results = await self.taken([folder], Arriving(), watch=True, stop=stop)
        assert self.opened[:2] == ["a.jsonl", "b.jsonl"]
        assert self.opened[2].startswith("d")
        assert results[-1].state == "stopped"


def test_the_first_rejected_rows_are_printed_with_their_file() -> None:
    said: list[str] = []
    listing = progress.Listing(said.append)
    listing.begin("q.jsonl")
    for number in range(1, progress.SHOWN + 4):
        listing.reject(Rejected(number, "answer", "Field required", b"{}"))
    assert said[0] == "q.jsonl: line 1: answer: Field required"
    assert len(said) == progress.SHOWN + 1
    listing.begin("other.jsonl")
    listing.reject(Rejected("2/17", "row", "not JSON", None))
    assert said[-1] == "other.jsonl: line 2/17: row: not JSON"


def test_the_report_counts_this_run(capsys: pytest.CaptureFixture[str]) -> None:
    results = [
        Result("a.jsonl", "done", format="medqa", submitted=3, rejected=1, rejected_file="a.jsonl.rejected.jsonl"),
        Result("b.jsonl", "already", after_line=9),
        Result("c.jsonl", "stopped", format="questions", submitted=2),
    ]
    report = submitting.report(results)
    assert (report["submitted"], report["rejected"]) == (5, 1)
    assert json.loads(json.dumps(report))["files"][0]["format"] == "medqa"
    submitting.show(results, "here:1")
    said = capsys.readouterr()
    assert "5 questions are in Kafka (here:1)" in said.out
    assert "a.jsonl: 1 rows are no questions: see a.jsonl.rejected.jsonl" in said.err
    assert "b.jsonl; to submit a file again, delete its .submitted.json" in said.err
    assert "c.jsonl: interrupted" in said.err


FILES = Path(__file__).parents[2] / "data" / "question_files"


class TestDryRun:
    def test_it_counts_lists_and_shows_the_first_question(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(str(FILES / "frenchmedmcqa.jsonl"), "--dry-run", "--json") == 1
        said = json.loads(capsys.readouterr().out)
        assert (said["dry_run"], said["accepted"], said["rejected"]) == (True, 1, 1)
        (file,) = said["files"]
        assert (file["format"], file["first"]["answer"]) == ("frenchmedmcqa", "C")
        assert file["rows"] == [
            {"line": 2, "field": "correct_answers", "why": "has several answers: a question must have exactly one"}
        ]
        assert run(str(FILES / "hubrepo"), "--dry-run", "--source", "mine") == 0
        shown = capsys.readouterr()
        assert "* C  Vitamin C" in shown.out
        assert "README.md: passed over" in shown.err

    @pytest.mark.parametrize("name", ["saved_to_disk", "ReasonMed.json", "nul.jsonl"])
    def test_a_run_that_would_take_nothing_fails(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(str(FILES / name), "--dry-run") == 1
        assert "0 questions would be submitted" in capsys.readouterr().out

    def test_options_say_how_a_file_is_read(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = written(tmp_path / "q.txt", "stem~a~b~gold\n\xe9?~x~y~1\n".encode("latin-1"))
        names = "question=stem,A=a,B=b,answer=gold,answer_index=0"
        assert run(str(file), "--dry-run", "--json", "--format", "csv", "--delimiter", "~", "--encoding", "latin-1",
                   "--source", "mine", "--columns", names) == 0  # fmt: skip
        first = json.loads(capsys.readouterr().out)["files"][0]["first"]
        assert (first["question"], first["answer"], first["source"]) == ("\xe9?", "B", "mine")

    def test_standard_input(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        with (FILES / "questions_array.json").open() as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            assert run("-", "--dry-run") == 0
        assert "1 questions would be submitted" in capsys.readouterr().out


def test_a_run_that_submitted_nothing_fails() -> None:
    assert submitting.exit_code([], watch=False) == 1
    assert submitting.exit_code([Result("a", "done")], watch=False) == 1
    assert submitting.exit_code([Result("a", "already"), Result("b", "done")], watch=False) == 0
    assert submitting.exit_code([Result("a", "done", submitted=1)], watch=False) == 0
    assert submitting.exit_code([Result("a", "done", submitted=1, rejected=1)], watch=False) == 1
    assert submitting.exit_code([], watch=True) == 0
