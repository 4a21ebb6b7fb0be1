"""The sample questions: thirty of our own, well formed, and holding the traps that other tests rely on."""

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parents[2] / "services" / "local" / "samples" / "questions.jsonl"
REQUIRED = ["id", "source", "subject", "question", "options", "answer"]


def lines() -> list[str]:
    return SAMPLES.read_bytes().decode("utf-8").removesuffix("\n").split("\n")


ROWS = [json.loads(line) for line in lines()]


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


def test_thirty_questions_one_a_line() -> None:
    assert len(ROWS) == 30
    assert [row["id"] for row in ROWS] == [f"sample:{number:03d}" for number in range(1, 31)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_form(row: dict[str, Any]) -> None:
    assert list(row) in (REQUIRED, [*REQUIRED, "context"])
    assert row["source"] == "sample"
    assert row["answer"] in row["options"]
    assert "".join(row["options"]) == "ABCDE"[: len(row["options"])]
    assert len(row["options"]) >= 3
    texts = [row["subject"], row["question"], *row["options"].values(), *row.get("context", [])]
    for text in texts:
        assert isinstance(text, str)
        assert text
        assert text == text.strip()
        assert "\ufffd" not in text
        assert "\r" not in text
    assert len({text.casefold() for text in row["options"].values()}) == len(row["options"])


def test_at_least_ten_subjects() -> None:
    assert len({row["subject"] for row in ROWS}) >= 10


def test_no_two_stems_alike() -> None:
    for one, other in combinations(ROWS, 2):
        first, second = words(one["question"]), words(other["question"])
        alike = len(first & second) / len(first | second)
        assert alike < 0.5, (one["id"], other["id"], alike)


def test_gold_letters_are_spread() -> None:
    counts = Counter(row["answer"] for row in ROWS)
    assert set(counts) == set("ABCDE")
    assert max(counts.values()) <= 0.4 * len(ROWS)


def test_gold_is_not_given_away_by_its_length() -> None:
    longest = sum(max(row["options"], key=lambda letter: len(row["options"][letter])) == row["answer"] for row in ROWS)
    assert longest <= 0.5 * len(ROWS)


def test_numbers_of_options() -> None:
    counts = Counter(len(row["options"]) for row in ROWS)
    assert counts[4] > len(ROWS) / 2
    assert counts[5] >= 2


def test_questions_with_a_passage_answer_yes_no_or_maybe() -> None:
    with_context = [row for row in ROWS if "context" in row]
    assert len(with_context) >= 2
    for row in with_context:
        assert row["options"] == {"A": "yes", "B": "no", "C": "maybe"}
        assert row["context"][0].startswith("Invented abstract")
    assert {row["answer"] for row in with_context} == {"A", "B", "C"}


def test_the_traps_are_there() -> None:
    stems = [row["question"] for row in ROWS]
    assert any("{gold}" in stem and "{path}" in stem for stem in stems), "names of prompt placeholders"
    assert any(all(character in stem for character in "°µ≥") for stem in stems), "Unicode"
    assert any("\n| Test | Result |" in stem for stem in stems), "line breaks and a table"
