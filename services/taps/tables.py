"""Topics as tables: columns, and the rows of a message. Pure.

cases    one row per work (a case under its recipe), in its latest state
paths    one row per path of these cases
calls    one row per paid call of a work, from any path, round, life or record
models   one row per model alias of a recipe
"""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from services.contracts.case import Call, Case
from services.contracts.codec import Malformed, UnknownVersion, decode
from services.contracts.recipe import Recipe
from services.contracts.record import Record
from services.contracts.topics import (
    CASE_ACCEPTED,
    CASE_REJECTED,
    CURRENT,
    PATHS_VERIFIED,
    RECIPES,
    RECORD_COMPLETED,
    both_lanes,
    stage_topic,
)
from services.core.messages import ConsumedRecord
from services.exporter.path_rows import ENDS, path_row
from services.exporter.path_schema import PATH, Columns
from services.exporter.schema import OPTIONS

TOPICS = both_lanes(RECIPES, PATHS_VERIFIED, CASE_ACCEPTED, CASE_REJECTED, RECORD_COMPLETED)
"""The topics that are read. Messages contain the whole case, so other topics add nothing."""

_TEXT, _INT, _FLOAT, _BOOL, _AT = pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.timestamp("ms")
_TEXTS = pa.list_(_TEXT)

Row = dict[str, Any]

CASES: Columns = (
    ("work_id", _TEXT, "The case under its recipe: one row each."),
    ("case_id", _TEXT, "Digest of the normalised question, gold answer and context included."),
    ("recipe_id", _TEXT, "Its recipe."),
    ("life", _INT, "0; more after redrives. The last one seen."),
    ("rounds", _INT, "Refining rounds done."),
    ("ended", _TEXT, "accepted or rejected; null: in progress, or dead."),
    ("difficulty", _TEXT, "easy, medium or difficult; null until it is routed."),
    ("gold_disputed", _BOOL, "Every path that states an answer states the same one, which isn't gold."),
    ("rejected", _TEXT, "Why it was rejected; null where it wasn't."),
    ("source", _TEXT, "Where the question comes from, if known."),
    ("source_question_id", _TEXT, "The source's own id of it, if known."),
    ("subject", _TEXT, "Speciality, if known."),
    ("question", _TEXT, "The stem."),
    ("options", OPTIONS, "The options, in order."),
    ("answer", _TEXT, "The gold answer's letter."),
    ("context", _TEXTS, "Passages that belong to the question."),
    ("written_at", _AT, "Kafka's timestamp of the message in which it was last seen; UTC."),
)

PATHS: Columns = (
    *PATH,
    ("written_at", _AT, "Kafka's timestamp of the message in which it was last seen; UTC."),
)

CALLS: Columns = (
    ("call_id", _TEXT, "Digest of the exact request and the number of the ask."),
    ("work_id", _TEXT, "The work. A call that two recipes share was paid once: count(DISTINCT call_id)."),
    ("case_id", _TEXT, "The question."),
    ("recipe_id", _TEXT, "The recipe."),
    ("stage", _TEXT, "generate, verify, score, refine, reason or summarize."),
    ("alias", _TEXT, "The recipe's model alias."),
    ("prompt", _INT, "Tokens read, cached ones included."),
    ("completion", _INT, "Tokens written, thinking included."),
    ("cached", _INT, "Of `prompt`, those that the server had in its prefix cache."),
    ("written_at", _AT, "Kafka's timestamp of the message in which it was first seen; UTC."),
)

MODELS: Columns = (
    ("recipe_id", _TEXT, "The recipe."),
    ("alias", _TEXT, "The name that this recipe has for the model."),
    ("served", _TEXT, "name@revision: what `records.model` holds."),
    ("name", _TEXT, "The name that the server knows."),
    ("revision", _TEXT, "Of the weights."),
    ("price_in", _FLOAT, "USD a million prompt tokens."),
    ("price_out", _FLOAT, "USD a million completion tokens."),
)

TABLES: dict[str, Columns] = {"cases": CASES, "paths": PATHS, "calls": CALLS, "models": MODELS}
"""By name. `calls` gets one more column: cost_usd, from `models`."""

COST = (
    "cost_usd",
    _FLOAT,
    "By the recipe's prices, cached tokens at the full price; null where the recipe is missing.",
)


def schema(columns: Columns) -> pa.Schema:
    """The Arrow schema."""
    return pa.schema([pa.field(name, kind) for name, kind, _ in columns])


def rows(message: ConsumedRecord) -> dict[str, list[Row]]:
    """The rows that a message of TOPICS adds, by table; none if it is unreadable."""
    try:
        return _rows(message)
    except (Malformed, UnknownVersion):
        return {}


def _rows(message: ConsumedRecord) -> dict[str, list[Row]]:
    value = message.value or b""
    if message.topic == RECIPES:
        key = (message.key or b"").decode(errors="replace")
        return {} if key == CURRENT else {"models": list(_models(key, decode(Recipe, value)))}
    if message.topic == RECORD_COMPLETED:
        record = decode(Record, value)
        return {"calls": list(_calls(record, record.calls, message))}
    case = decode(Case, value)
    return {
        "cases": [_case(case, message)],
        "paths": [{**path_row(case, path), "written_at": message.timestamp_ms} for path in case.paths],
        "calls": list(_calls(case, (call for path in case.paths for call in path.calls), message)),
    }


def _case(case: Case, message: ConsumedRecord) -> Row:
    question = case.question
    return {
        **_ids(case),
        "life": case.life,
        "rounds": case.rounds,
        "ended": ENDS.get(stage_topic(message.topic)),
        "difficulty": case.difficulty,
        "gold_disputed": case.gold_disputed,
        "rejected": case.rejected,
        "source": question.source,
        "source_question_id": question.id,
        "subject": question.subject,
        "question": question.question,
        "options": [{"letter": letter, "text": text} for letter, text in question.options.items()],
        "answer": question.answer,
        "context": list(question.context),
        "written_at": message.timestamp_ms,
    }


def _calls(of: Case | Record, calls: Iterable[Call], message: ConsumedRecord) -> Iterator[Row]:
    for call in calls:
        yield {
            **_ids(of),
            "call_id": call.call_id,
            "stage": call.stage,
            "alias": call.alias,
            "prompt": call.usage.prompt,
            "completion": call.usage.completion,
            "cached": call.usage.cached,
            "written_at": message.timestamp_ms,
        }


def _models(recipe_id: str, recipe: Recipe) -> Iterator[Row]:
    for alias, model in recipe.models.items():
        yield {
            "recipe_id": recipe_id,
            "alias": alias,
            "served": f"{model.served}@{model.revision}",
            "name": model.served,
            "revision": model.revision,
            "price_in": model.price_in,
            "price_out": model.price_out,
        }


def _ids(of: Case | Record) -> Row:
    return {"work_id": of.work_id, "case_id": of.case_id, "recipe_id": of.recipe_id}
