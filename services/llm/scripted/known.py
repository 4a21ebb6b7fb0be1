"""The questions that the server knows, by case id."""

import gzip
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson

from services.contracts.base import CaseId
from services.contracts.question import Question
from services.core import ids

SAMPLES = Path(__file__).parents[2] / "local" / "samples" / "questions.jsonl"
"""The project's own sample questions."""


def questions(file: Path) -> dict[CaseId, Question]:
    """Case id to question, from JSON lines (also gzip-compressed). Raises OSError, ValueError."""
    found = (Question.model_validate(row) for row in rows(file))
    return {ids.case_id(question): question for question in found}


def case_ids(known: Mapping[CaseId, Question]) -> dict[str, CaseId]:
    """A source's own id of a question to its case id."""
    return {question.id: case_id for case_id, question in known.items() if question.id is not None}


def rows(file: Path) -> Iterator[object]:
    """The JSON values of a file, one a line."""
    with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as lines:
        for line in lines:
            if line.strip():
                yield orjson.loads(line)
