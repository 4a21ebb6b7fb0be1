"""The columns of the dataset, in order. Each carries its description into the table, as metadata of the field.

One row is one record: a question, one verified chain of thought, its summary, and where they come from. A column is
null only where the record has no value.

Sums: `cost_usd` and `cost` are the record's own share, so they add up over all rows to what the cases cost. Token
counts (`usage`, `case_*_tokens`) are the whole case's, repeated in each of its records: sum them over the rows with
`record_index = 0`. (The summaries of a case's other records are left out then; `calls` names them all.)
"""

from typing import get_args

import pyarrow as pa

from services.contracts.case import Stage

STAGES: tuple[str, ...] = get_args(Stage)

_TEXT, _INT, _FLOAT, _BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_TOKENS = [("prompt", _INT), ("completion", _INT), ("cached", _INT)]
OPTIONS = pa.list_(pa.struct([("letter", _TEXT), ("text", _TEXT)]))
_CALL = pa.struct([("call_id", _TEXT), ("stage", _TEXT), ("alias", _TEXT), *_TOKENS])
STEP_ERRORS = pa.list_(pa.struct([("step", _INT), ("kind", _TEXT), ("severity", _TEXT), ("reason", _TEXT)]))
_FAULTY = pa.struct(
    [
        *((name, _TEXT) for name in ("path_id", "origin", "alias", "model")),
        *(("temperature", _FLOAT), ("text", _TEXT), ("reason", _TEXT)),
        *(("step_ends", pa.list_(_INT)), ("errors", STEP_ERRORS)),
    ]
)
_SPARED = pa.struct([("by", _TEXT), ("stage", _TEXT), ("calls", _INT), ("usd", _FLOAT)])
_USAGE = pa.struct([(stage, pa.struct(_TOKENS)) for stage in STAGES])
_COST = pa.struct([(stage, _FLOAT) for stage in STAGES])

_MAYBE = True
"""Marks a column that may be null."""

_COLUMNS: tuple[tuple[str, pa.DataType, str] | tuple[str, pa.DataType, str, bool], ...] = (
    ("kafka_partition", _INT, "Of record-completed."),
    ("kafka_offset", _INT, "Of record-completed, in that partition."),
    ("written_at", pa.timestamp("us", tz="UTC"), "Kafka's timestamp of the record.", _MAYBE),
    ("record_id", _TEXT, "Digest of work id and path id; unique in the dataset."),
    ("case_id", _TEXT, "Digest of the normalised question, gold answer and context included."),
    ("work_id", _TEXT, "The case under its recipe."),
    ("recipe_id", _TEXT, "Digest of everything that decided the result: prompts, models, sampling, thresholds."),
    ("path_id", _TEXT, "The kept chain of thought."),
    ("life", _INT, "0; more after redrives."),
    ("record_index", _INT, "Which of the case's records this is, from 0."),
    ("record_count", _INT, "How many records the case has."),
    ("source", _TEXT, "Where the question comes from.", _MAYBE),
    ("source_question_id", _TEXT, "The source's own id of it.", _MAYBE),
    ("subject", _TEXT, "Speciality, where the source gives one.", _MAYBE),
    ("question", _TEXT, "The stem."),
    ("options", OPTIONS, "The options, in order."),
    ("answer", _TEXT, "The gold answer's letter."),
    ("answer_text", _TEXT, "The gold answer's text."),
    ("context", pa.list_(_TEXT), "Passages that belong to the question."),
    ("difficulty", _TEXT, "easy, medium or difficult: by how many of the planned paths were correct."),
    ("gold_disputed", _BOOL, "Every path that states an answer states the same other answer than gold."),
    ("origin", _TEXT, "generated, refined or regenerated."),
    ("parents", pa.list_(_TEXT), "Path ids that it was rewritten from or told of."),
    ("alias", _TEXT, "The recipe's model alias that wrote the chain."),
    ("model", _TEXT, "served name@revision of that model."),
    ("temperature", _FLOAT, "That it was drawn at."),
    ("chain", _TEXT, "The chain of thought."),
    ("summary", _TEXT, "Its summary."),
    ("score", _INT, "The judge's, 0 to 5; null where no reply could be read.", _MAYBE),
    ("score_justification", _TEXT, "The judge's words on the score."),
    ("verdict", _TEXT, "correct, in every record so far."),
    ("verdict_reason", _TEXT, "The judge's words, or the check's."),
    ("verdict_by", _TEXT, "Who decided: judge, or a check that needs no model."),
    ("verdict_judged", _TEXT, "What the judge said, where one was asked and could be read.", _MAYBE),
    ("stated", _TEXT, "The option letter that the chain itself states.", _MAYBE),
    (
        "step_ends",
        pa.list_(_INT),
        "Where each step of the chain ends, in characters, if the verdict names steps.",
        _MAYBE,
    ),
    ("in_error", pa.list_(_FAULTY), "In a case's first record: its paths with steps in error, if verdicts do.", _MAYBE),
    ("spared", pa.list_(_SPARED), "In a case's first record: the calls that the case did not need, if any.", _MAYBE),
    ("case_prompt_tokens", _INT, "Read for the whole case and this summary, cached ones included."),
    ("case_completion_tokens", _INT, "Written for the whole case and this summary, thinking included."),
    ("case_cached_tokens", _INT, "Of the prompt tokens, those that a server had in its prefix cache."),
    ("cost_usd", _FLOAT, "This record's share of the case's cost, its summary whole."),
    ("usage", _USAGE, "The case's tokens by stage; null for a stage that wasn't needed."),
    ("cost", _COST, "This record's share in USD, by stage."),
    ("calls", pa.list_(_CALL), "The paid calls that it rests on: its parents', its own, its summary's."),
    ("extra", _TEXT, "JSON of the fields that this version doesn't know, at their places; null: none.", _MAYBE),
    ("version", _TEXT, "Schema version (major.minor) of the record's writer."),
    ("content_digest", _INT, "64 bits over the known fields, by which a repeat is compared."),
    ("contract", _TEXT, "Contract version of the exporter that computed content_digest.", _MAYBE),
)


def _field(name: str, kind: pa.DataType, description: str, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"description": description})


INDEXED = 3
"""The first columns have statistics in the log, by which readers skip files."""

SCHEMA = pa.schema([_field(*column) for column in _COLUMNS])
"""The columns of the dataset."""
