"""`reasonmed export` from the outside: what it finds by itself, what it prints, what it refuses."""

import json
import os
from pathlib import Path

import pytest

from services import recipes
from services.cli.__main__ import main
from services.core.case import ids
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


def test_the_last_run_is_exported_where_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    for age, (folder, count) in enumerate((("build/up", 3), ("build/demo/scripted", 20), ("build/replay", 5))):
        parts = write_parts(Path(folder) / "dataset", [records(count)])
        for manifest in parts.glob("manifest-*"):
            os.utime(manifest, (1_000_000 + age % 2, 1_000_000 + age % 2))  # the demo's is the newest
    assert run(*WANTED, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["parts"] == "build/demo/scripted/dataset"
    assert (said["records"], said["splits"]["train"]["share"]) == (20, 0.98)
    row = json.loads(next(Path("out/jsonl").glob("train-*")).read_text().splitlines()[0])
    assert {"instruction", "input", "output", "record_id"} <= set(row)


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


def test_a_person_is_told_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    write_parts(Path("parts"), [records(5)])
    assert run(*WANTED, "parts", "--split", "all=1") == 0
    assert capsys.readouterr().out == "5 records (all 5) of parts are in out.\n"


def test_what_cannot_be_done_is_said_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*WANTED) == 1
    assert "a part is closed a minute after its first record" in capsys.readouterr().err
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
    ],
)
def test_an_option_that_is_not_understood_exits_with_2(
    wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*WANTED, "parts", *wrong) == 2
    assert wrong[0] in capsys.readouterr().err
