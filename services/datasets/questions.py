"""The distinct questions of the records, with split and matching evaluation set."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from services.contracts.question import Question
from services.core.dedupe.evaluation_index import EvaluationIndex
from services.datasets.splits import Splits, split_key

BATCH = 4_096
"""Questions per batch, about 8 MB."""


@dataclass(frozen=True)
class HeldOut:
    """The index of evaluation sets whose questions are left out."""

    name: str
    sha256: str
    """SHA-256 of the index file, which identifies for a benchmark the sets that a model was not trained on."""
    index: EvaluationIndex


_FIRSTS = """
    CREATE TABLE firsts AS
    SELECT min(place) AS first FROM records GROUP BY case_id
"""
_TEXTS = """
    SELECT case_id, question, options, context, answer
    FROM records JOIN firsts ON first = place
"""
_EMPTY = pa.schema([("case_id", pa.string()), ("split", pa.string()), ("held_out", pa.string())])


def place_questions(connection: duckdb.DuckDBPyConnection, splits: Splits, held_out: HeldOut | None) -> None:
    """Create the table `questions` (case_id, split, held_out) from `records`. `held_out` is the evaluation file with
    the question, or null. Raises duckdb.Error."""
    connection.execute(_FIRSTS)
    _insert(connection, "CREATE TABLE questions AS FROM batch", _EMPTY.empty_table())
    reading = connection.cursor()
    for batch in reading.sql(_TEXTS).to_arrow_reader(BATCH):
        placed = [_placed(row, splits, held_out) for row in batch.to_pylist()]
        _insert(connection, "INSERT INTO questions FROM batch", pa.Table.from_pylist(placed, schema=_EMPTY))
    connection.execute("DROP TABLE firsts")


def question_of(row: dict[str, Any]) -> Question:
    """The question of a row, which was validated at submission."""
    return Question.model_construct(
        question=row["question"],
        options=options_of(row["options"]),
        answer=row["answer"],
        context=tuple(row["context"] or ()),
    )


def options_of(listed: Iterable[dict[str, str]]) -> dict[str, str]:
    """Options by letter."""
    return {option["letter"]: option["text"] for option in listed}


def _placed(row: dict[str, Any], splits: Splits, held_out: HeldOut | None) -> dict[str, Any]:
    match = held_out.index.find(question_of(row)) if held_out else None
    return {
        "case_id": row["case_id"],
        "split": splits.of(split_key(row["question"])),
        "held_out": match.where if match else None,
    }


def _insert(connection: duckdb.DuckDBPyConnection, statement: str, batch: pa.Table) -> None:
    connection.register("batch", batch).execute(statement)
    connection.unregister("batch")
