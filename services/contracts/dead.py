"""The dead letter: a message that can't be processed."""

from typing import Literal

from pydantic import Field

from services.contracts.base import Message

DeadKind = Literal["poison", "not_yet", "too_many_unknown", "no_summary", "killer", "defect"]
_KINDS = (
    "poison: can't be read. not_yet: an unknown major version or a recipe not had within 60 s. too_many_unknown: no "
    "route can be told. no_summary: no readable summary. killer: its process died with it, again and again. defect: "
    "our code raised. All but poison are worth a redrive once the cause is mended."
)

DEAD_LETTER_HEADER = "dead-letter"
"""The Kafka header that carries a DeadLetter as JSON; the value of the message is the original's bytes."""


class DeadLetter(Message):
    """Why a message is dead, and where it came from. In a header; the message's value is the original's bytes."""

    service: str = Field(description="The service that gave the message up.")
    kind: DeadKind = Field(description=_KINDS)
    error: str = Field(max_length=4_000, description="What was wrong, where, and what to do.")
    attempts: int = Field(ge=1, description="How often its processing was begun.")
    topic: str = Field(description="The topic that the message was read from.")
    partition: int = Field(ge=0, description="The partition of that topic.")
    offset: int = Field(ge=0, description="The offset in that partition.")
