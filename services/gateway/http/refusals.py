"""Refusals as the client reads them. They never contain the client's own text."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field

from services.contracts.question import LETTERS, Question
from services.core.case.sizes import QUESTION_BYTES
from services.gateway.http.metrics import Reason

_QUERY = ("recipe", "ids", "topic", "end", "difficulty", "source", "subject", "text", "score", "span", "limit")
_KNOWN = {*Question.model_fields, *LETTERS, "query", "path", "case_id", *_QUERY}
"""Names that may appear in a refusal: other keys are the client's own text."""

RETRY_AFTER_S = 5
"""Retry-After of a 503: about the time that brokers need to restart."""


class FieldError(BaseModel):
    """A field and its error."""

    field: str = Field(description="Such as `answer`, `options.C`, `context.0`, `query.recipe`; `body` for the whole.")
    why: str


class Refusal(BaseModel):
    """A refusal."""

    error: str = Field(description="What is wrong, and what to do.")
    fields: list[FieldError] = Field(default_factory=list, description="On 422: every field that is wrong.")


class Refused(Exception):
    """A refused request, or a refused question of a batch: the response, and the reason to count."""

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
    """422, with every invalid field."""
    return Refused(422, "malformed", "Not a valid question; see the fields.", fields=fields)


def too_large() -> Refused:
    """413, for one question."""
    return Refused(413, "too_large", f"A question is at most {QUESTION_BYTES:,} bytes of JSON.")


def away(reason: Reason, error: str) -> Refused:
    """503: a dependency is away."""
    return Refused(503, reason, error, headers={"Retry-After": str(RETRY_AFTER_S)})


def field_errors(errors: Iterable[Mapping[str, Any]]) -> list[FieldError]:
    """Pydantic's errors without their input and without the client's own keys; equal ones once: a thousand unknown
    options are one error."""
    found = dict.fromkeys((_name(error["loc"]), error["msg"].removeprefix("Value error, ")) for error in errors)
    return [FieldError(field=field, why=why) for field, why in found]


def _name(location: Sequence[str | int]) -> str:
    parts = (str(part) if isinstance(part, int) or part in _KNOWN else "(unknown)" for part in location)
    return ".".join(parts) or "body"
