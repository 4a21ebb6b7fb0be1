"""What was written loads with Hugging Face `datasets`, with no network, whatever is null or empty."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import yaml

from services.contracts.case import Case, Score
from services.contracts.record import Record
from services.datasets.export import export
from services.datasets.names import WITH_VARIANT, Form
from services.datasets.shards import ROWS
from services.exporter.schema import SCHEMA
from tests.unit.datasets.world import in_json, judged, of_steps, records, request, rows_of, write_parts, write_paths
from tests.unit.exporter.world import record

SCRIPT = """
import json, sys
from datasets import Features, load_dataset

def rows(loaded):
    return {split: list(rows) for split, rows in loaded.items()}

out = []
for folder in sys.argv[1:]:
    loaded = load_dataset(folder)
    assert loaded["train"].features == Features.from_arrow_schema(loaded["train"].data.schema)
    files = {split: f"{folder}/jsonl/{split}/*.jsonl" for split in loaded}
    out.append([rows(loaded), rows(load_dataset("json", data_files=files))])
sys.stdout.write(json.dumps(out))  # at once: unbuffered, each of the texts would be a write
"""
FORMS: tuple[Form, ...] = get_args(Form)
ROWS_OF: dict[Form, int] = {"prm": 3 * ROWS, "kto": 4 * ROWS, "verifier": 4 * ROWS}
"""Rows of two groups of records, or of as many pairs of paths."""


def load(tmp_path: Path, folders: list[Path]) -> list[list[dict[str, list[dict[str, object]]]]]:
    """In a process of its own: the library reads its settings when it is imported."""
    settings = {"HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    words = [sys.executable, "-c", SCRIPT, *map(str, folders)]
    ended = subprocess.run(words, env={**os.environ, **settings}, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    loaded: list[list[dict[str, list[dict[str, object]]]]] = json.loads(ended.stdout)
    return loaded


def test_every_form_loads_as_it_was_written_in_both_kinds_of_file(tmp_path: Path) -> None:
    write_parts(tmp_path / "parts", [records(40)])
    write_paths(tmp_path / "parts", map(judged, range(40)))
    for form in FORMS:
        asked = request(
            form=form,
            variant="ReasonMed" if form in WITH_VARIANT else None,
            lineage=form != "sharegpt",
            system="Be exact." if form in ("alpaca", "think") else None,
        )
        export(asked, tmp_path / "parts", tmp_path / form)
    for form, kinds in zip(FORMS, load(tmp_path, [tmp_path / form for form in FORMS]), strict=True):
        written = {split: rows_of(tmp_path / form, split) for split in ("train", "test")}
        lines = {split: in_json(rows) for split, rows in written.items()}
        assert kinds == [written, lines]


def test_columns_that_are_null_or_empty_in_the_first_shard_load(tmp_path: Path) -> None:
    """A reader of JSON lines takes the type of a column from the first file."""
    bare = [without(of_steps(record(number))) for number in range(ROWS)]
    full = [of_steps(record(number)).with_(parents=(record(0).path_id,)) for number in range(ROWS, 2 * ROWS)]
    ordered = sorted(one.record_id for one in [*bare, *full])
    renamed = [one.with_(record_id=name) for one, name in zip([*bare, *full], ordered, strict=True)]
    write_parts(tmp_path / "parts", [renamed], rows=500)
    write_paths(tmp_path / "parts", map(judged_in_order, range(2 * ROWS)))
    for form in FORMS:
        variant = "ReasonMed" if form in WITH_VARIANT else None
        export(request(form=form, variant=variant), tmp_path / "parts", tmp_path / form, shard_bytes=1)
    for form, kinds in zip(FORMS, load(tmp_path, [tmp_path / form for form in FORMS]), strict=True):
        rows = ROWS_OF.get(form, 2 * ROWS)
        assert [sum(map(len, kind.values())) for kind in kinds] == [rows] * 2, form


def judged_in_order(number: int) -> Case:
    """One right and one wrong path; in the order of their ids, those of the first half have null wherever that may
    be."""
    made, late = judged(number), number >= ROWS
    question = made.question.with_(**({} if late else {"source": None, "id": None, "subject": None, "context": ()}))
    names = [f"path-{2 * number + slot:032x}" for slot in range(2)]
    right, wrong = (made.paths[0 if late else 1], made.paths[2 if late else 3])
    paths = (right.with_(path_id=names[0]), wrong.with_(path_id=names[1]))
    return made.with_(question=question, paths=paths, kept=(), work_id=f"work-{number:04x}" + "0" * 28)


def without(one: Record) -> Record:
    """A record with null or nothing wherever that may be."""
    question = one.question.with_(source=None, id=None, subject=None, context=())
    return one.with_(
        question=question,
        parents=(),
        score=Score(value=None, justification=""),
        verdict=one.verdict.with_(judged=None, stated=None),
        in_error=(),
    )


def test_the_card_says_what_the_hub_asks_for(tmp_path: Path) -> None:
    write_parts(tmp_path / "parts", [records(40)])
    export(request(licences={"medqa": "MIT", "medmcqa": "Ours"}), tmp_path / "parts", tmp_path / "out")
    front = yaml.safe_load((tmp_path / "out/README.md").read_text().split("---\n")[1])
    assert front["license"] == ["mit", "other", "unknown"]
    assert front["language"] == ["en"]
    assert front["size_categories"] == ["n<1K"]
    assert "synthetic" in front["tags"]
    assert [data["split"] for data in front["configs"][0]["data_files"]] == ["train", "test"]


def test_no_column_of_json_lines_may_be_null(tmp_path: Path) -> None:
    write_parts(tmp_path / "parts", [[without(record(1))]])
    export(request(), tmp_path / "parts", tmp_path / "out")
    (line,) = [line for path in (tmp_path / "out/jsonl").rglob("*.jsonl") for line in path.read_text().splitlines()]
    row = json.loads(line)
    assert all(value not in (None, []) for value in row.values())
    assert not any(SCHEMA.field(name).nullable for name in row if name in SCHEMA.names)
