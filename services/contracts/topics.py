"""The topics as data: proto/topics.yaml, parsed and validated."""

from functools import cache
from pathlib import Path
from typing import Annotated, Final, Literal, Self, get_args

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

Lane = Literal["live", "backfill"]
"""How a question waits: live questions go first in every stage. The lane of a message is the topic that it is in."""
LANES: Final[tuple[Lane, ...]] = get_args(Lane)
LANE_HEADER = "lane"
"""A Kafka header of a submission: `backfill` sends it to that lane from any topic."""
_BACKFILL = "-backfill"

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
    lanes: bool = Field(
        default=False, description="Whether backfill has a topic of its own beside this one, NAME-backfill."
    )

    @model_validator(mode="after")
    def _kept_one_way(self) -> Self:
        if self.compacted == (self.retention_days is not None):
            raise ValueError(f"{self.name}: set either retention_days or compacted: true")
        return self


def in_lane(topic: str, lane: Lane) -> str:
    """The topic in this lane that belongs to a topic of the live lane; the topic itself if both lanes share it."""
    other = f"{topic}{_BACKFILL}"
    return other if lane == "backfill" and other in topics() else topic


def lane_of(topic: str) -> Lane:
    """The lane of a topic's messages."""
    return "backfill" if topic.endswith(_BACKFILL) else "live"


def stage_topic(topic: str) -> str:
    """The topic of the live lane that belongs to this one: what has happened, in either lane."""
    return topic.removesuffix(_BACKFILL)


def both_lanes(*names: str) -> tuple[str, ...]:
    """These topics in both lanes, live ones first."""
    return tuple(dict.fromkeys(in_lane(name, lane) for lane in LANES for name in names))


def dead_topic(service: str) -> str:
    """The topic of a service's dead letters."""
    return f"{service}-dead"


@cache
def topics() -> dict[str, Topic]:
    """All topics by name, in the order of the file: a topic's backfill lane after it, dead letters last."""
    data = yaml.safe_load((PROTO / "topics.yaml").read_text())
    listed: list[Topic] = []
    for name, fields in data["topics"].items():
        listed.append(topic := Topic(name=name, **fields))
        if topic.lanes:
            about = {"name": f"{name}{_BACKFILL}", "description": f"Backfill: {topic.description}", "lanes": False}
            listed.append(topic.model_copy(update=about))
    dead = data["dead_letters"]
    for service in dead.pop("written_by_each_of"):
        listed.append(Topic(name=dead_topic(service), written_by=(service,), key="as the original's", **dead))
    return {topic.name: topic for topic in listed}
