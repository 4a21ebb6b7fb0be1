"""The note that a dead letter was sent on its way again."""

from pydantic import Field

from services.contracts.base import Message


class Redriven(Message):
    """What was redriven, and in which life it goes on. In the compacted topic letter-redriven, under `what`: of each
    thing the latest note stays, however long its dead letters are kept."""

    what: str = Field(
        max_length=400,
        description="A work id; for a submission its case id and the recipe that it names, or `current`; for a message "
        "that went back unchanged TOPIC/PARTITION/OFFSET, where it had been read.",
    )
    life: int = Field(ge=1, description="The life that began; 1 for a message that went back unchanged.")
    topic: str = Field(description="The topic that the dead message had been read from.")
    partition: int = Field(ge=0, description="The partition of that topic.")
    offset: int = Field(ge=0, description="The offset in that partition.")
    to: str = Field(description="The topic that it was sent to.")
