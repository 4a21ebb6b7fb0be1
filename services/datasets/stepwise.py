"""Rows of step labels, for process reward models: a row for each kept chain, and for each path in error of its case."""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from services.core.case.chat import question_text
from services.core.case.steps import steps
from services.datasets.questions import question_of
from services.exporter.schema import SCHEMA

COLUMNS = pa.schema([("prompt", pa.string()), ("completions", pa.list_(pa.string())), ("labels", pa.list_(pa.bool_()))])
"""TRL's stepwise supervision."""

_OF_CASE = ("case_id", "source", "source_question_id", "subject", "difficulty")
_OF_PATH = ("path_id", "origin", "alias", "model", "temperature")
_ERRORS = SCHEMA.field("in_error").type.value_type.field("errors").type
LINEAGE = pa.schema([*((name, SCHEMA.field(name).type) for name in (*_OF_CASE, *_OF_PATH)), ("errors", _ERRORS)])
"""`errors` has kind, severity and reason of each error, by the number of its step."""

READ = ("question", "options", "context", "answer", "record_id", "chain", "step_ends", "in_error", *_OF_CASE, *_OF_PATH)
"""The columns of records from which rows are built."""


def step_rows(batches: Iterable[pa.RecordBatch], *, system: str | None, lineage: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows of the records in each batch, after the columns `key` and `split`."""
    carried = [("key", pa.string()), ("split", pa.string())]
    schema = pa.schema([*carried, *COLUMNS, *lineage])
    for batch in batches:
        rows = [row for record in batch.to_pylist() for row in _rows(record, system)]
        yield pa.RecordBatch.from_pylist(rows, schema=schema)


def _rows(record: dict[str, Any], system: str | None) -> Iterator[dict[str, Any]]:
    question = question_text(question_of(record))
    prompt = question if system is None else f"{system}\n\n{question}"
    of_case = {name: record[name] for name in ("split", *_OF_CASE)} | {"prompt": prompt}
    kept = {name: record[name] for name in _OF_PATH} | {"text": record["chain"], "errors": []}
    yield of_case | _labelled(kept, record["step_ends"]) | {"key": record["record_id"]}
    for path in record["in_error"] or ():
        yield of_case | _labelled(path, path["step_ends"]) | {"key": f"{record['record_id']}/{path['path_id']}"}


def _labelled(path: dict[str, Any], ends: list[int]) -> dict[str, Any]:
    wrong = {error["step"] for error in path["errors"]}
    texts = steps(path["text"], ends)
    return {
        **{name: path[name] for name in (*_OF_PATH, "errors")},
        "completions": [text.strip() for text in texts],
        "labels": [number not in wrong for number in range(1, len(texts) + 1)],
    }
