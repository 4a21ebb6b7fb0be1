"""Parses request bodies into submissions. Pure."""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from services.contracts.codec import Malformed, encode, loads
from services.contracts.question import Question, Submission
from services.contracts.topics import QUESTION_SUBMITTED, Lane, in_lane
from services.core import ids
from services.core.case.sizes import QUESTION_BYTES
from services.core.messages import OutgoingRecord
from services.gateway.http.refusals import FieldError, Refused, field_errors, malformed, too_large

BATCH_QUESTIONS = 1_000
"""The most questions of an array."""


def from_json(body: bytes, recipe_id: str | None, lane: Lane = "live") -> OutgoingRecord:
    """The message for the question in `body`; its key is the case id. Raises Refused (422) with all invalid fields."""
    return _submission(_parsed(body), recipe_id, lane)


def from_line(line: bytes | None, recipe_id: str | None, lane: Lane = "live") -> OutgoingRecord | Refused:
    """As from_json, for a line of NDJSON; None: the line was too long."""
    if line is None:
        return too_large()
    try:
        return from_json(line, recipe_id, lane)
    except Refused as refused:
        return refused


def from_array(body: bytes, recipe_id: str | None, lane: Lane = "live") -> list[OutgoingRecord | Refused]:
    """The same for each question of a JSON array, in order. Raises Refused if the body is not an array (422) or has too
    many questions (413)."""
    items = _parsed(body)
    if not isinstance(items, list) or not items:
        raise malformed([FieldError(field="body", why="must be an array of at least one question")])
    if len(items) > BATCH_QUESTIONS:
        raise Refused(
            413, "too_large", f"An array has at most {BATCH_QUESTIONS:,} questions: send more as application/x-ndjson."
        )
    return [_item(item, recipe_id, lane) for item in items]


def parted(decided: Sequence[OutgoingRecord | Refused]) -> tuple[list[OutgoingRecord], list[Refused]]:
    """Splits messages and refusals."""
    return (
        [each for each in decided if isinstance(each, OutgoingRecord)],
        [each for each in decided if isinstance(each, Refused)],
    )


def _item(item: Any, recipe_id: str | None, lane: Lane) -> OutgoingRecord | Refused:
    try:
        message = _submission(item, recipe_id, lane)
    except Refused as refused:
        return refused
    return message if len(message.value) <= QUESTION_BYTES else too_large()


def _parsed(body: bytes) -> Any:
    try:
        return loads(body)
    except Malformed as error:
        raise malformed([FieldError(field="body", why=str(error))]) from error


def _submission(raw: Any, recipe_id: str | None, lane: Lane) -> OutgoingRecord:
    if isinstance(raw, dict) and "recipe_id" in raw:
        # As an unknown field it would have no effect, and another recipe would be used.
        raise malformed([FieldError(field="recipe_id", why="set the recipe in the query: ?recipe=recipe-…")])
    try:
        question = Question.model_validate(raw)
    except ValidationError as error:
        raise malformed(field_errors(error.errors(include_url=False, include_input=False))) from error
    submission = Submission(case_id=ids.case_id(question), question=question, recipe_id=recipe_id)
    try:
        value = encode(submission)
    except (TypeError, ValueError, RecursionError) as error:  # orjson reads 1,024 levels and writes 254
        raise malformed([FieldError(field="body", why="nested too deeply")]) from error
    return OutgoingRecord(
        topic=in_lane(QUESTION_SUBMITTED, lane), key=submission.case_id.encode(), value=value, headers={}
    )
