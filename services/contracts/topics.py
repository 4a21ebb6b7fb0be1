"""The topics as data: proto/topics.yaml, parsed and validated."""

from functools import cache
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

_IN_WHEEL = Path(__file__).resolve().parent / "proto"
PROTO = _IN_WHEEL if _IN_WHEEL.is_dir() else Path(__file__).resolve().parents[2] / "proto"
"""The contract's folder: inside this package in a wheel, next to services/ in a checkout."""

QUESTION_SUBMITTED = "question-submitted"
QUESTION_REFUSED = "question-refused"
QUESTION_ADMITTED = "question-admitted"
CASE_UNDECIDED = "case-undecided"
PATHS_GENERATED = "paths-generated"
PATHS_VERIFIED = "paths-verified"
CASE_MEDIUM = "case-medium"
CASE_DIFFICULT = "case-difficult"
CASE_ACCEPTED = "case-accepted"
CASE_REJECTED = "case-rejected"
RECORD_COMPLETED = "record-completed"
RECIPES = "recipes"
LETTER_REDRIVEN = "letter-redriven"

CURRENT = "current"
"""The key in `recipes` whose value is the id of the recipe for new cases."""


class Topic(BaseModel):
    """One topic: writers, readers, message type and retention."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{1,100}$")
    description: str
    message: str
    key: str = "case id"
    written_by: tuple[str, ...] = Field(min_length=1)
    read_by: tuple[str, ...] = Field(min_length=1)
    group: str | None = Field(
        default=None, description="The consumer group, if it differs from the name of the reading service."
    )
    partitions: Annotated[int, Field(ge=1, le=10_000)]
    retention_days: Annotated[int, Field(ge=1)] | None = None
    compacted: bool = False

    @model_validator(mode="after")
    def _kept_one_way(self) -> Self:
        if self.compacted == (self.retention_days is not None):
            raise ValueError(f"{self.name}: set either retention_days or compacted: true")
        return self


def dead_topic(service: str) -> str:
    """The topic of a service's dead letters."""
    return f"{service}-dead"


@cache
def topics() -> dict[str, Topic]:
    """All topics by name, including dead letters, in the order of the file."""
    data = yaml.safe_load((PROTO / "topics.yaml").read_text())
    listed = [Topic(name=name, **fields) for name, fields in data["topics"].items()]
    dead = data["dead_letters"]
    for service in dead.pop("written_by_each_of"):
        listed.append(Topic(name=dead_topic(service), written_by=(service,), key="as the original's", **dead))
    return {topic.name: topic for topic in listed}
