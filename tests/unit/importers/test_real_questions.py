"""Real questions, written as their sources publish them, come in as they are; skipped where there are none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from services.core.messages import OutgoingRecord
from services.importers.formats import Asked, chosen
from services.importers.readers import reading
from services.importers.readers.shape import Shape
from services.importers.rows import message, submissions
from tests.unit.importers.sources import lines, table, written

DATA = Path(__file__).parents[4] / "shared" / "data" / "questions.jsonl.gz"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="no real questions on this machine")

LETTERS = "ABCD"
Question = dict[str, Any]


@pytest.fixture(scope="module")
def questions() -> list[Question]:
    with reading(DATA, Shape("jsonl", packing="gz")) as read:
        return [json.loads(row.value) for row in read.rows]


def medqa(one: Question) -> Question:
    return {**one, "answer": one["options"][one["answer"]], "answer_idx": one["answer"], "meta_info": "step1"}


def medmcqa(one: Question, first: int) -> Question:
    options = {f"op{letter.lower()}": one["options"].get(letter) for letter in LETTERS}
    return {"question": one["question"], **options, "cop": LETTERS.index(one["answer"]) + first}


def mmlu(one: Question) -> list[str]:
    return [one["question"], *one["options"].values(), one["answer"]]


def pubmedqa(one: Question) -> Question:
    decision = one["options"][one["answer"]]
    return {"QUESTION": one["question"], "CONTEXTS": one["context"], "final_decision": decision, "LONG_ANSWER": "x"}


def as_parquet(path: Path, rows: list[Question]) -> Path:
    parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


WRITERS: dict[str, tuple[str, str, Callable[[Path, list[Question]], Path]]] = {
    "medqa": ("medqa", "train.jsonl", lambda path, all: written(path, lines(map(medqa, all)))),
    "medmcqa from 0": ("medmcqa", "train.json", lambda path, all: written(path, lines(medmcqa(q, 0) for q in all))),
    "medmcqa from 1": ("medmcqa", "train.json", lambda path, all: written(path, lines(medmcqa(q, 1) for q in all))),
    "medmcqa parquet": ("medmcqa", "q.parquet", lambda path, all: as_parquet(path, [medmcqa(q, 0) for q in all])),
    "mmlu": ("mmlu", "anatomy_test.csv", lambda path, all: written(path, table(map(mmlu, all)))),
    "pubmedqa": (
        "pubmedqa",
        "ori_pqal.json",
        lambda path, all: written(path, json.dumps({q["id"]: pubmedqa(q) for q in all}, indent=4).encode()),
    ),
    "parquet": ("mmlu", "plain.parquet", as_parquet),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_each_comes_to_the_case_that_it_is(writer: str, questions: list[Question], tmp_path: Path) -> None:
    source, name, write = WRITERS[writer]
    mine = [question for question in questions if question["source"] == source]
    file = write(tmp_path / name, mine)
    how = chosen(file, Asked())
    with reading(file, how.shape) as read:
        made = [message(row, how.parse) for row in read.rows]
    expected = [row.key for row in submissions(lines(mine).splitlines()) if isinstance(row, OutgoingRecord)]
    assert [row.key for row in made if isinstance(row, OutgoingRecord)] == expected
    assert len(expected) == len(mine) > 400
