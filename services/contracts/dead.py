"""The dead letter: a message that cannot be processed."""

from typing import Literal

from pydantic import Field

from services.contracts.base import Message

DeadKind = Literal["poison", "not_yet", "too_many_unknown", "no_summary", "killer", "defect"]
_KINDS = (
    "poison: malformed. not_yet: an unknown major version, or a recipe that was missing for 60 s. too_many_unknown: "
    "too many unknown paths to choose a route. no_summary: no readable summary. killer: its process died repeatedly "
    "while processing it (crash loop). defect: our code raised an exception. All but poison can be redriven once the "
    "cause is fixed."
)

DEAD_LETTER_HEADER = "dead-letter"
"""The Kafka header that carries a DeadLetter as JSON; the message value is the original message's bytes."""


class DeadLetter(Message):
    """Why a message is a dead letter, and its source. In a header; the message value is the original message's
    bytes."""

    service: str = Field(description="The service that could not process the message.")
    kind: DeadKind = Field(description=_KINDS)
    error: str = Field(max_length=4_000, description="Cause, place and remedy.")
    attempts: int = Field(ge=1, description="Number of processing attempts.")
    topic: str = Field(description="The topic that the message was read from.")
    partition: int = Field(ge=0, description="The partition of that topic.")
    offset: int = Field(ge=0, description="The offset in that partition.")
