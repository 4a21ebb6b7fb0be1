"""`reasonmed export` from the outside: what it finds by itself, what it prints, what it refuses."""

import json
from pathlib import Path

import pytest

from services import recipes
from services.cli.__main__ import main
from services.core import ids
from services.core.dedupe.evaluation_file import dump
from services.core.dedupe.evaluation_index import Entry, build
from tests.unit.datasets.world import records, write_parts

WANTED = ("export", "--variant", "CoTMed", "--form", "alpaca", "--out", "out")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_run_is_that_of_status_and_sql(capsys: pytest.CaptureFixture[str]) -> None:
    for folder, count in (("build/up", 3), ("build/demo/scripted", 20)):
        write_parts(Path(folder) / "dataset", [records(count)])
    assert run(*WANTED, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["dataset"], report["records"]) == ("build/up/dataset", 3)
    assert run(*WANTED, "--json", "--folder", "build/demo/scripted") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["records"], report["splits"]["train"]["share"]) == (20, 0.98)
    row = json.loads(Path("out/jsonl/train/00000.jsonl").read_text().splitlines()[0])
    assert {"instruction", "input", "output", "record_id"} <= set(row)


def test_a_run_without_a_dataset_names_those_that_have_one(capsys: pytest.CaptureFixture[str]) -> None:
    write_parts(Path("build/demo/scripted/dataset"), [records(5)])
    assert run(*WANTED) == 1
    assert "these have one: build/demo/scripted" in " ".join(capsys.readouterr().err.split())


def test_questions_of_an_index_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    made = records(5)
    write_parts(Path("parts"), [made])
    index = build([(Entry.of("exam.jsonl", made[2].question, 1), made[2].question)])
    Path("evaluation.index").write_bytes(dump(index))
    assert run(*WANTED, "parts", "--held-out", "evaluation.index") == 0
    assert "1 questions (1 records) of evaluation.index are left out." in capsys.readouterr().out


def test_options_reach_the_export(capsys: pytest.CaptureFixture[str]) -> None:
    recipe = recipes.load("demo")
    made = [one.with_(recipe_id=ids.recipe_id(recipe)) for one in records(60)]
    write_parts(Path("parts"), [made])
    chosen = ("--difficulty", "easy", "--difficulty", "medium", "--min-score", "1", "--source", "medqa", "--undisputed")
    more = ("--recipe", "demo", "--licences", "medqa=MIT", "--split", "all=1", "--seed", "7", "--no-lineage", "--json")
    assert run(*WANTED, "parts", *chosen, *more) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["filters"] == {
        "difficulties": ["easy", "medium"],
        "sources": ["medqa"],
        "recipes": [ids.recipe_id(recipe)],
        "min_score": 1,
        "disputed": False,
    }
    assert (said["licences"], said["seed"], list(said["splits"]), said["lineage"]) == (
        {"medqa": "MIT"},
        "7",
        ["all"],
        False,
    )
    assert said["recipe_names"] == {ids.recipe_id(recipe): "demo"}


def test_the_result_is_printed_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    write_parts(Path("parts"), [records(5)])
    assert run(*WANTED, "parts", "--split", "all=1") == 0
    assert capsys.readouterr().out == "5 records (all 5) of parts are in out.\n"


def test_errors_are_printed_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*WANTED) == 1
    assert "build/up has no dataset" in capsys.readouterr().err
    assert run(*WANTED, "nowhere") == 1
    assert "nowhere holds no records" in capsys.readouterr().err
    assert run(*WANTED, write_parts(Path("parts"), [records(5)]).name, "--source", "medpqa") == 1
    said = capsys.readouterr().err
    assert "medpqa" in said
    assert "Traceback" not in said
    assert not Path("out").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        ("--split", "train=0.9"),
        ("--licences", "MIT"),
        ("--difficulty", "hard"),
        ("--min-score", "6"),
        ("--form", "chatml"),
        ("--variant", "cotmed"),
        ("--form", "think", "--variant", "CoTMed"),
    ],
)
def test_an_option_that_is_not_understood_exits_with_2(
    wrong: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*WANTED, "parts", *wrong) == 2
    assert wrong[-2] in capsys.readouterr().err
