"""The note that a dead letter was redriven."""

from pydantic import Field

from services.contracts.base import Message


class Redriven(Message):
    """A redriven dead letter, and its new life. In the compacted topic letter-redriven with the key `what`: the latest
    note per key is kept, independent of the retention of dead letters."""

    what: str = Field(
        max_length=400,
        description="A work id; for a submission its case id and its recipe, or `current`; for a message that was sent "
        "back unchanged its source position, TOPIC/PARTITION/OFFSET.",
    )
    life: int = Field(ge=1, description="The new life; 1 for a message that was sent back unchanged.")
    topic: str = Field(description="The source topic of the dead letter.")
    partition: int = Field(ge=0, description="The partition of that topic.")
    offset: int = Field(ge=0, description="The offset in that partition.")
    to: str = Field(description="The topic that it was sent to.")
