"""`reasonmed index`: from question files to a file that admission reads; and `up` with one."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

from services.cli.__main__ import main
from services.contracts.question import Question
from services.core.dedupe.evaluation_file import read
from tests.unit.importers.sources import OPTIONS, ROW, STEM, lines, medqa, written


def run(*arguments: str) -> int:
    """The exit code."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    code = ended.value.code
    assert isinstance(code, int)
    return code


def as_mmlu(*stems: str) -> bytes:
    table = io.StringIO()
    csv.writer(table).writerows([stem, *OPTIONS.values(), "C"] for stem in stems)
    return table.getvalue().encode()


def test_every_format_goes_into_one_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    medqa_test = written(tmp_path / "test.jsonl", lines([medqa()]))
    mmlu = tmp_path / "mmlu"
    mmlu.mkdir()
    written(mmlu / "anatomy_test.csv", as_mmlu("Where is the spleen?", "Where is the liver?"))
    out = tmp_path / "evaluation.index"
    assert run("index", str(medqa_test), str(mmlu), "--out", str(out), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["questions"], said["bytes"]) == (3, out.stat().st_size)
    assert [(file["questions"], file["rejected"]) for file in said["files"]] == [(1, 0), (2, 0)]
    found = read(out).find(Question(question="where is the LIVER", options=OPTIONS, answer="C"))
    assert found is not None
    assert (found.where, found.id, found.text) == ("anatomy_test.csv", "2", "Where is the liver?")
    first = out.read_bytes()
    assert run("index", str(medqa_test), str(mmlu), "--out", str(out)) == 0
    assert out.read_bytes() == first


def test_rejected_rows_are_reported_and_the_rest_is_indexed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "mixed.jsonl", lines([ROW, {**ROW, "options": {"A": "x"}}]))
    out = tmp_path / "evaluation.index"
    assert run("index", str(file), "--out", str(out)) == 1
    said = capsys.readouterr()
    assert "line 2: row" in said.err
    assert "1 questions of 1 files" in said.out
    assert [entry.text for entry in read(out).entries] == [STEM]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "holds no question"),
        (b'{"stem": 1}\n', "its format is not recognised"),
        (b"\x89PNG", "not recognised as JSON lines"),
    ],
)
def test_unreadable_files_produce_no_index(
    content: bytes, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = written(tmp_path / "good.jsonl", lines([ROW] if b"stem" in content else [])), tmp_path / "bad"
    bad.write_bytes(content)
    out = tmp_path / "evaluation.index"
    assert run("index", str(good), str(bad), "--out", str(out)) == 1
    assert why in capsys.readouterr().err
    assert not out.exists()


def test_up_refuses_a_bad_index_before_it_starts_anything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "questions.jsonl", lines([ROW]))
    assert run("up", "--scripted", "--folder", str(tmp_path / "up"), "--evaluation-index", str(file)) == 1
    assert "is not an evaluation index: make one with `reasonmed index" in re.sub(r"\s+", " ", capsys.readouterr().err)


SETS = Path(__file__).parents[2] / "data" / "question_files" / "evalsets"


def test_every_file_of_a_folder_is_indexed_at_any_depth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "evaluation.index"
    assert run("index", str(SETS), "--out", str(out), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert [file["questions"] for file in said["files"]] == [1, 1, 1]
    assert {entry.file for entry in read(out).entries} == {"anatomy_test.tsv", "test.jsonl", "top.jsonl"}


def test_a_folder_without_question_files_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path / "README.md", b"x")
    assert run("index", str(tmp_path), "--out", str(tmp_path / "evaluation.index")) == 1
    assert "README.md: passed over" in capsys.readouterr().err.replace("\n", "")


@pytest.mark.parametrize("gold", [{}, {"answer": None}, {"gold_number": 2}, {"answer": 2}, {"answer": ["A", "B"]}])
def test_a_set_without_a_usable_answer_is_indexed_all_the_same(gold: dict[str, object], tmp_path: Path) -> None:
    row = {"question": STEM, "options": OPTIONS, **gold}
    file = written(tmp_path / "test.jsonl", lines([row]))
    out = tmp_path / "evaluation.index"
    assert run("index", str(file), "--out", str(out)) == 0
    assert [entry.text for entry in read(out).entries] == [STEM]
