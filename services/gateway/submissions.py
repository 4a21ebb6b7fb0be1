"""A body becomes a submission. Pure."""

from pydantic import ValidationError

from services.contracts.codec import Malformed, encode, loads
from services.contracts.question import Question, Submission
from services.contracts.topics import QUESTION_SUBMITTED
from services.core import ids
from services.core.ports import Outgoing
from services.gateway.refusals import FieldError, field_errors, malformed


def submission(body: bytes, recipe_id: str | None) -> Submission:
    """The submission of the question in `body`. Raises Refused (422) with every field that is wrong."""
    question = _question(body)
    return Submission(case_id=ids.case_id(question), question=question, recipe_id=recipe_id)


def outgoing(submission: Submission) -> Outgoing:
    """The message to publish. Raises Refused (422) for what can't be written back as JSON."""
    try:
        value = encode(submission)
    except (TypeError, ValueError, RecursionError) as error:  # orjson reads 1,024 levels and writes 254
        raise malformed([FieldError(field="body", why="nested too deeply")]) from error
    return Outgoing(topic=QUESTION_SUBMITTED, key=submission.case_id.encode(), value=value, headers={})


def _question(body: bytes) -> Question:
    try:
        raw = loads(body)
        if isinstance(raw, dict) and "recipe_id" in raw:
            # Kept as an unknown field it would name a recipe in vain, and another would be paid for.
            raise malformed([FieldError(field="recipe_id", why="name a recipe in the query: ?recipe=recipe-…")])
        return Question.model_validate(raw)
    except Malformed as error:
        raise malformed([FieldError(field="body", why=str(error))]) from error
    except ValidationError as error:
        raise malformed(field_errors(error.errors(include_url=False, include_input=False))) from error
