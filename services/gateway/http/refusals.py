"""Why a request isn't granted, as the client reads it. Nothing of the client's own text is ever in it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field

from services.contracts.question import LETTERS, Question
from services.core.case.sizes import QUESTION_BYTES
from services.gateway.http.metrics import Reason

_QUERY = ("recipe", "ids", "topic", "end", "difficulty", "source", "limit")
_KNOWN = {*Question.model_fields, *LETTERS, "query", "path", "case_id", *_QUERY}
"""What may stand in a field's name: other keys are the client's own text."""

RETRY_AFTER_S = 5
"""What a 503 asks the client to wait: brokers that restart need about so long."""


class FieldError(BaseModel):
    """One field, and what is wrong with it."""

    field: str = Field(description="Such as `answer`, `options.C`, `context.0`, `query.recipe`; `body` for the whole.")
    why: str


class Refusal(BaseModel):
    """What isn't granted, and why."""

    error: str = Field(description="What is wrong, and what to do.")
    fields: list[FieldError] = Field(default_factory=list, description="On 422: every field that is wrong.")


class Refused(Exception):
    """A request, or a question among others, that isn't taken: the answer to give, and what to count it as."""

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


def too_large() -> Refused:
    """413, of one question."""
    return Refused(413, "too_large", f"A question is at most {QUESTION_BYTES:,} bytes of JSON.")


def away(reason: Reason, error: str) -> Refused:
    """503: what is needed for the answer is away."""
    return Refused(503, reason, error, headers={"Retry-After": str(RETRY_AFTER_S)})


def field_errors(errors: Iterable[Mapping[str, Any]]) -> list[FieldError]:
    """Pydantic's errors without their input, and without the client's own keys. What is told once is not repeated: a
    thousand unknown options are one error."""
    told = dict.fromkeys((_name(error["loc"]), error["msg"].removeprefix("Value error, ")) for error in errors)
    return [FieldError(field=field, why=why) for field, why in told]


def _name(location: Sequence[str | int]) -> str:
    parts = (str(part) if isinstance(part, int) or part in _KNOWN else "(unknown)" for part in location)
    return ".".join(parts) or "body"
