"""Likeness among real questions; skipped where there are none."""

import gzip
from pathlib import Path

import pytest

from services.contracts.question import Question
from services.core.dedupe.evaluation_index import Entry, build
from services.core.dedupe.minhash import Sketch, resemblance
from services.core.dedupe.near_duplicates import sketch

DATA = Path(__file__).parents[4] / "shared" / "data" / "questions.jsonl.gz"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="no real questions on this machine")


@pytest.fixture(scope="module")
def asked() -> dict[str, Question]:
    """MMLU's: two of its subjects have many questions in common, others are about one passage."""
    rows = map(Question.model_validate_json, gzip.decompress(DATA.read_bytes()).splitlines())
    return {row.id or "": row for row in rows if row.source == "mmlu"}


def test_real_copies_match_and_questions_about_one_passage_do_not(asked: dict[str, Question]) -> None:
    sketches = {name: sketch(question) for name, question in asked.items()}
    found = {(one, other) for one in sketches for other in sketches if one < other and _alike(sketches, one, other)}
    assert len(found) > 40
    for one, other in found:
        first, second = (set(map(str.lower, asked[name].options.values())) for name in (one, other))
        assert len(first & second) >= 3, (asked[one], asked[other])


def _alike(sketches: dict[str, Sketch], one: str, other: str) -> bool:
    first, second = sketches[one], sketches[other]
    return bool(set(first.bands) & set(second.bands)) and resemblance(first.signature, second.signature) >= 0.85


def test_of_an_evaluation_set_each_is_found_and_of_the_others_only_copies(asked: dict[str, Question]) -> None:
    questions = list(asked.values())
    tested, others = questions[::2], questions[1::2]
    index = build((Entry.of("mmlu", question, 0), question) for question in tested)
    assert all((match := index.find(question)) and match.similarity == 1 for question in tested)
    for question in others:
        if match := index.find(question):
            assert match.text[:40].lower() == question.question[:40].lower()
