"""Where cases stand, as clients read it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field

from services.contracts.base import CaseId, WorkId
from services.contracts.case import Difficulty
from services.contracts.topics import RECORD_COMPLETED, Topic, topics
from services.core.messages import Position
from services.core.status.case_status import CaseEvent, CaseHistory, CaseStatus, End

CASE_TOPICS = frozenset(topic.name for topic in topics().values() if topic.message == "case")
"""Whose messages are whole cases."""

STANDINGS = ("correct", "error", "unknown", "unverified")
"""Of paths."""


class TopicView(BaseModel):
    """One topic of the stream."""

    topic: str
    description: str
    message: str = Field(description="The type of its messages: its schema is in proto/schemas.")
    written_by: list[str]
    read_by: list[str]
    group: str | None = Field(description="The consumer group, where it isn't the reading service's name.")
    retention_days: int | None
    compacted: bool


class WorkView(BaseModel):
    """A case under one recipe; or a question that is no case yet, and then work_id and recipe_id are empty."""

    work_id: str
    recipe_id: str
    life: int = Field(description="0; a redrive adds one.")
    round: int = Field(description="Refining rounds done.")
    topic: str = Field(description="The topic of its latest message; the reader of that topic has it next.")
    since: datetime = Field(description="When it was written there.")
    begun: datetime = Field(description="When its first message was written.")
    end: End | None = Field(description="How it ended; null while it is open.")
    why: str = Field(description="Of a rejected, dead or refused one.")
    difficulty: Difficulty | None
    records: int = Field(description="Seen so far.")


class StandingView(WorkView):
    """Where one work stands."""

    case_id: CaseId
    title: str = Field(description="The beginning of the stem.")
    source: str
    subject: str


class StepView(BaseModel):
    """One message of a work's way."""

    topic: str
    at: datetime = Field(description="When it was written, by Kafka.")
    life: int
    round: int
    index: int = Field(description="A record's place among its case's.")
    paths: dict[str, int] = Field(description="How many stand how: correct, error, unknown, unverified.")
    difficulty: Difficulty | None
    why: str
    partition: int
    offset: int


class WayView(WorkView):
    """Where one work stands, and how it came there."""

    way: list[StepView] = Field(description="Its messages, in the order of their way.")


class CaseStanding(BaseModel):
    """Where a case stands, under each recipe."""

    case_id: CaseId
    title: str = Field(description="The beginning of the stem.")
    source: str
    subject: str
    works: list[WayView] = Field(description="The one that changed last comes first.")


class CaseView(CaseStanding):
    """The same with what came of it."""

    records: list[dict[str, Any]] = Field(description="The records of ended works: whole messages, as in Kafka.")


class CasesView(BaseModel):
    """Standings, latest first."""

    cases: list[StandingView]


class WorkStory(BaseModel):
    """A work's messages whole, as Kafka holds them."""

    work_id: str
    case: dict[str, Any] | None = Field(description="The latest message of the case; none: there is none (any more).")
    records: list[dict[str, Any]]
    refused: dict[str, Any] | None = Field(description="Why the question was refused, and what it is too like.")
    note: str = Field(default="", description="What is missing, and why.")


class StoryView(BaseModel):
    """All that was said of a case."""

    case_id: CaseId
    stories: list[WorkStory]


def topic_view(topic: Topic) -> TopicView:
    """A topic as clients read it."""
    shown = topic.model_dump(include=set(TopicView.model_fields), mode="json")
    return TopicView(topic=topic.name, **shown)


def standing_view(standing: CaseStatus) -> StandingView:
    """A standing as clients read it."""
    return StandingView(**_told(standing))


def case_standing(seen: CaseHistory) -> CaseStanding:
    """Where the case stands. There is one sighting at least."""
    standings = seen.statuses()
    works = [
        WayView(**_told(each), way=[_step(sighting) for sighting in seen.timeline(each.work_id)]) for each in standings
    ]
    latest = standings[0]
    return CaseStanding(
        case_id=seen.case_id, title=latest.title, source=latest.source, subject=latest.subject, works=works
    )


def ended(seen: CaseHistory) -> bool:
    """Whether each of its works has ended."""
    return all(standing.end is not None for standing in seen.statuses())


def record_positions(seen: CaseHistory, work: CaseStatus) -> list[Position]:
    """Where the records of the work's present life are."""
    return [
        sighting.position
        for sighting in seen.timeline(work.work_id)
        if sighting.topic == RECORD_COMPLETED and sighting.life == work.life
    ]


def latest_in(seen: CaseHistory, work_id: WorkId, among: Iterable[str]) -> Position | None:
    """Where the work's latest message in one of these topics is."""
    names = frozenset(among)
    return next((each.position for each in reversed(seen.timeline(work_id)) if each.topic in names), None)


def _told(standing: CaseStatus) -> Mapping[str, Any]:
    return {**asdict(standing), "since": _time(standing.since_ms), "begun": _time(standing.begun_ms)}


def _step(sighting: CaseEvent) -> StepView:
    return StepView(
        topic=sighting.topic,
        at=_time(sighting.written_ms),
        life=sighting.life,
        round=sighting.round,
        index=sighting.index,
        paths={standing: sighting.paths.get(standing, 0) for standing in STANDINGS},
        difficulty=sighting.difficulty,
        why=sighting.why,
        partition=sighting.position.partition,
        offset=sighting.position.offset,
    )


def _time(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms / 1000, UTC)
