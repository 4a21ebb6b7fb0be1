"""The question that admission refused, and what it matched."""

from typing import Literal

from pydantic import Field

from services.contracts.base import CaseId, Message, Value
from services.contracts.question import Question

Reason = Literal["near_duplicate", "evaluation_set"]


class Match(Value):
    """What a refused question is too like."""

    where: str = Field(max_length=400, description="The earlier question's case id; or the evaluation set's file name.")
    id: str = Field(max_length=400, description="Its own id there: the source's, else its line.")
    text: str = Field(max_length=500, description="The beginning of its stem.")
    similarity: float = Field(
        ge=0, le=1, description="1: the same but for case and punctuation. Else the share of word n-grams in common."
    )


class Refused(Message):
    """A question that was not admitted, before anything was paid for it. In the topic question-refused; the key is the
    case id."""

    case_id: CaseId
    question: Question = Field(description="The question itself.")
    life: int = Field(default=0, ge=0, description="The submission's life.")
    reason: Reason = Field(
        description="near_duplicate: like a question that was admitted before. evaluation_set: like one of a set "
        "that tests models."
    )
    match: Match = Field(description="What it is too like.")
