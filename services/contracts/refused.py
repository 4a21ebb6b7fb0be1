"""A question that admission refused, and its match."""

from typing import Literal

from pydantic import Field

from services.contracts.base import CaseId, Message, Value
from services.contracts.question import Question

Reason = Literal["near_duplicate", "evaluation_set"]


class Match(Value):
    """The question that a refused question matches."""

    where: str = Field(max_length=400, description="The earlier question's case id; or the evaluation set's file name.")
    id: str = Field(max_length=400, description="Its id there: the source's id, else its line.")
    text: str = Field(max_length=500, description="The beginning of its stem.")
    similarity: float = Field(
        ge=0, le=1, description="1: equal except for case and punctuation. Otherwise the share of common word n-grams."
    )


class Refused(Message):
    """A question that was not admitted, before any model call. In the topic question-refused; the key is the case
    id."""

    case_id: CaseId
    question: Question = Field(description="The question itself.")
    life: int = Field(default=0, ge=0, description="The submission's life.")
    reason: Reason = Field(
        description="near_duplicate: similar to an admitted question. evaluation_set: similar to a question of an "
        "evaluation set."
    )
    match: Match = Field(description="The matching question.")
