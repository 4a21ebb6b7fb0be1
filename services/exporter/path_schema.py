"""The columns of the table `paths`. One row is one path of a case that was accepted or rejected: right or wrong, with
its verdict. A column is null only where the path has no value."""

import pyarrow as pa

from services.exporter.schema import OPTIONS, STEP_ERRORS

_TEXT, _INT, _FLOAT, _BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_TEXTS = pa.list_(_TEXT)

Columns = tuple[tuple[str, pa.DataType, str], ...]

PATH: Columns = (
    ("path_id", _TEXT, "Digest of work id, origin, round and slot."),
    ("work_id", _TEXT, "The work it belongs to."),
    ("case_id", _TEXT, "The question."),
    ("recipe_id", _TEXT, "The recipe."),
    ("origin", _TEXT, "generated, refined (rewritten from its parent) or regenerated (by the strong model)."),
    ("round", _INT, "0 for generated; the refining round, from 1, otherwise."),
    ("slot", _INT, "Its place in the plan, or in the round."),
    ("alias", _TEXT, "The recipe's alias of the model that wrote it."),
    ("temperature", _FLOAT, "That it was drawn at."),
    ("parents", _TEXTS, "The paths it was rewritten from, or whose reasons it was given."),
    ("text", _TEXT, "The chain of thought."),
    ("finish_reason", _TEXT, "stop, length (cut off) or other; null where the call failed."),
    ("failure", _TEXT, "Why its call failed for good; null where it answered."),
    ("standing", _TEXT, "correct, error, or unknown (its call failed, or no verdict could be read)."),
    ("reason", _TEXT, "The judge's words, or the check's."),
    ("verdict_by", _TEXT, "judge, stated_answer, cut_off, empty, leak or failure."),
    ("judged", _TEXT, "The judge's verdict: correct or error; null where none was asked, or none could be read."),
    ("stated", _TEXT, "The option letter that the path itself states, if any."),
    ("gold", _TEXT, "The gold answer's letter."),
    ("score", _INT, "0 to 5; null where it isn't correct, or no score could be read."),
    ("kept", _BOOL, "Whether it becomes a record."),
    ("call_ids", _TEXTS, "The calls paid for it."),
)
"""What the topics say of a path as well, under the same names."""

_MORE: Columns = (
    ("life", _INT, "Of the case: 0; more after redrives."),
    ("ended", _TEXT, "How its case ended: accepted or rejected."),
    ("rejected", _TEXT, "Why its case was rejected; null where it wasn't."),
    ("difficulty", _TEXT, "easy, medium or difficult: by how many of the planned paths were correct; null: undecided."),
    ("gold_disputed", _BOOL, "Every path that states an answer states the same other answer than gold."),
    ("source", _TEXT, "Where the question comes from, if known."),
    ("source_question_id", _TEXT, "The source's own id of it, if known."),
    ("subject", _TEXT, "Speciality, if known."),
    ("question", _TEXT, "The stem."),
    ("options", OPTIONS, "The options, in order."),
    ("context", _TEXTS, "Passages that belong to the question."),
    ("thinking", _TEXT, "The model's thinking before it; null: it had none, or the ledger was pruned."),
    ("score_justification", _TEXT, "The judge's words on the score; null where it has none."),
    ("step_ends", pa.list_(_INT), "Where each step ends, in characters; null where the verdict names no steps."),
    ("errors", STEP_ERRORS, "The steps in error; null where the verdict names no steps."),
    ("content_digest", _INT, "64 bits over the case's fields, by which a repeat is compared."),
    ("contract", _TEXT, "Contract version of the exporter that computed content_digest."),
)

_PLACE: Columns = (
    ("kafka_topic", _TEXT, "case-accepted or case-rejected, in its lane."),
    ("kafka_partition", _INT, "Of that topic."),
    ("kafka_offset", _INT, "Of the case, in that partition; all its paths share it."),
    ("written_at", pa.timestamp("us", tz="UTC"), "Kafka's timestamp of the case."),
)

PATH_SCHEMA = pa.schema(
    [pa.field(name, kind, metadata={"description": about}) for name, kind, about in (*_PLACE, *PATH, *_MORE)]
)
"""The columns of the table."""
