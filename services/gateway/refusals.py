"""Why a question isn't taken, as the client reads it. Nothing of the client's own text is ever in it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field

from services.contracts.question import LETTERS, Question
from services.gateway.metrics import Reason

_KNOWN = {*Question.model_fields, *LETTERS, "recipe", "query"}
"""What may stand in a field's name: other keys are the client's own text."""


class FieldError(BaseModel):
    """One field, and what is wrong with it."""

    field: str = Field(description="Such as `answer`, `options.C`, `context.0`, `query.recipe`; `body` for the whole.")
    why: str


class Refusal(BaseModel):
    """The body of every answer that isn't 202."""

    error: str = Field(description="What is wrong, and what to do.")
    fields: list[FieldError] = Field(default_factory=list, description="On 422: every field that is wrong.")


class Refused(Exception):
    """A question that isn't taken: the answer to give, and what to count it as."""

    def __init__(
        self,
        status: int,
        reason: Reason,
        error: str,
        *,
        fields: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(error)
        self.status = status
        self.reason: Reason = reason
        self.refusal = Refusal(error=error, fields=list(fields))
        self.headers = dict(headers or {})


def malformed(fields: Sequence[FieldError]) -> Refused:
    """422, with every field that is wrong."""
    return Refused(422, "malformed", "This is no question; the fields say why.", fields=fields)


def field_errors(errors: Iterable[Mapping[str, Any]]) -> list[FieldError]:
    """Pydantic's errors without their input, and without the client's own keys."""
    return [FieldError(field=_name(error["loc"]), why=error["msg"].removeprefix("Value error, ")) for error in errors]


def _name(location: Sequence[str | int]) -> str:
    parts = (str(part) if isinstance(part, int) or part in _KNOWN else "(unknown)" for part in location)
    return ".".join(parts) or "body"
