"""What real models' malformed replies state, against labels by hand and against an independent look at their JSON.

The labels (tests/data/stated_answers.jsonl: a seeded hundred of the 1,425 raw replies, each read whole before the
reader was asked) say the letter that the text states as its answer, or null. They are our own work; the replies are
not, and stay where they are.
"""

import gzip
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from services.core.case.answers import final_answer

DATA = Path(__file__).parents[4] / "shared" / "data"
LABELS = Path(__file__).parents[2] / "data" / "stated_answers.jsonl"
SEED = 4

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the recordings are not here")

Row = dict[str, Any]


def lines(name: str) -> list[Row]:
    with gzip.open(DATA / name, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def key(row: Row) -> tuple[str, str, str]:
    return row["question_id"], row["model"], row["method"]


@pytest.fixture(scope="module")
def options() -> dict[str, dict[str, str]]:
    return {row["id"]: row["options"] for row in lines("questions.jsonl.gz")}


@pytest.fixture(scope="module")
def recordings() -> list[Row]:
    return sorted(lines("recordings.jsonl.gz"), key=key)


@pytest.fixture(scope="module")
def raw(recordings: list[Row]) -> list[Row]:
    return [row for row in recordings if row.get("raw") is not None]


def read(text: str, options: dict[str, str]) -> str | None:
    return final_answer(text, options).option


def in_answer_field(text: str, options: dict[str, str]) -> str | None:
    """The option that the last `answer_choice` is, or begins with: '(C)', 'C. Vitamin C'; not 'C and D', not 'N/A'."""
    values = re.findall(r'"answer_choice"\s*:\s*"([^"]*)"', text)
    value = values[-1].strip(" (*") if values else ""
    return value[0] if value[:1] in options and value[1:2] in ("", ".", ")", ":", "*") else None


def test_no_letter_is_read_that_a_hundred_labels_do_not_give(
    raw: list[Row], options: dict[str, dict[str, str]]
) -> None:
    labels = {key(row): row["label"] for row in map(json.loads, LABELS.read_text().splitlines())}
    assert list(labels) == random.Random(SEED).sample([key(row) for row in raw], 100)

    found = {key(row): read(row["raw"], options[row["question_id"]]) for row in raw if key(row) in labels}
    assert {where: letter for where, letter in found.items() if letter not in (None, labels[where])} == {}
    missed = {where: label for where, label in labels.items() if label is not None and found[where] is None}
    assert missed == {}, "recall on the hundred is below 1"  # one letter in a hundred: the rest refuse, or break off


def test_a_letter_in_an_answer_field_is_read_and_no_other(raw: list[Row], options: dict[str, dict[str, str]]) -> None:
    """Of the 1,425: all that offer an option in their answer field are read as just that. One states its answer in its
    last sentence instead, "the answer choice is: C. HM 2 and 4"."""
    pairs = [
        (in_answer_field(row["raw"], options[row["question_id"]]), read(row["raw"], options[row["question_id"]]))
        for row in raw
    ]
    assert len(pairs) == 1_425
    assert [(field, letter) for field, letter in pairs if letter not in (None, field)] == [(None, "C")]
    assert [field for field, letter in pairs if field is not None] == [
        letter for field, letter in pairs if field is not None
    ]
    assert sum(field is not None for field, _ in pairs) == 9


def test_fewer_than_one_in_a_hundred_unreadable_replies_gets_a_letter(
    raw: list[Row], options: dict[str, dict[str, str]]
) -> None:
    """For a benchmark: a letter that nobody chose would be a guess. Ten of 1,425 state one."""
    letters = [read(row["raw"], options[row["question_id"]]) for row in raw]
    assert sum(letter is not None for letter in letters) < 0.01 * len(letters)


def test_known_choices_are_read(recordings: list[Row], options: dict[str, dict[str, str]]) -> None:
    known = random.Random(SEED).sample([row for row in recordings if row["choice"] is not None], 200)
    found = [(read(row["text"], options[row["question_id"]]), row["choice"]) for row in known]
    assert [(letter, choice) for letter, choice in found if letter not in (None, choice)] == []
    assert sum(letter is not None for letter, _ in found) >= 0.9 * len(found)
