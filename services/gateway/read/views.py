"""The status of cases in the form of the HTTP API. Pure."""

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
"""The topics whose messages are cases."""

PATH_STATES = ("correct", "error", "unknown", "unverified")
"""Of paths."""


class TopicView(BaseModel):
    """One topic of the stream."""

    topic: str
    description: str
    message: str = Field(description="The type of its messages: its schema is in proto/schemas.")
    written_by: list[str]
    read_by: list[str]
    group: str | None = Field(description="The consumer group, if it differs from the reading service's name.")
    retention_days: int | None
    compacted: bool


class WorkView(BaseModel):
    """A case under one recipe; or a question that is not a case yet, with empty work_id and recipe_id."""

    work_id: str
    recipe_id: str
    life: int = Field(description="0; a redrive adds one.")
    round: int = Field(description="Refining rounds done.")
    topic: str = Field(description="The topic of its latest message; the reader of that topic is next.")
    since: datetime = Field(description="When that message was written.")
    begun: datetime = Field(description="When its first message was written.")
    end: End | None = Field(description="How it ended; null while it is open.")
    why: str = Field(description="The reason, if it was rejected, dead or refused.")
    difficulty: Difficulty | None
    records: int = Field(description="Records so far.")
    score: int | None = Field(default=None, description="The best score of these records.")


class StatusView(WorkView):
    """The status of a work."""

    case_id: CaseId
    title: str = Field(description="The beginning of the stem.")
    source: str
    subject: str


class StepView(BaseModel):
    """One message of a work."""

    topic: str
    at: datetime = Field(description="When it was written, by Kafka.")
    life: int
    round: int
    index: int = Field(description="The index of a record within its case.")
    paths: dict[str, int] = Field(description="The number of paths by state: correct, error, unknown, unverified.")
    difficulty: Difficulty | None
    why: str
    partition: int
    offset: int


class WayView(WorkView):
    """The status of a work, with its steps."""

    way: list[StepView] = Field(description="Its messages, in the order of the stream.")


class CaseStatusView(BaseModel):
    """The status of a case under each recipe."""

    case_id: CaseId
    title: str = Field(description="The beginning of the stem.")
    source: str
    subject: str
    works: list[WayView] = Field(description="The last changed first.")


class CaseView(CaseStatusView):
    """The status of a case, with its records."""

    records: list[dict[str, Any]] = Field(description="The records of ended works: whole messages, as in Kafka.")


class CasesView(BaseModel):
    """Statuses, latest first."""

    cases: list[StatusView]


class WorkStory(BaseModel):
    """The complete messages of a work, as in Kafka."""

    work_id: str
    case: dict[str, Any] | None = Field(description="The latest message of the case; null: none, or deleted.")
    records: list[dict[str, Any]]
    refused: dict[str, Any] | None = Field(description="Why the question was refused, with its match.")
    note: str = Field(default="", description="Which messages are missing, and why.")


class StoryView(BaseModel):
    """The messages of a case."""

    case_id: CaseId
    stories: list[WorkStory]


def topic_view(topic: Topic) -> TopicView:
    """The API view of a topic."""
    shown = topic.model_dump(include=set(TopicView.model_fields), mode="json")
    return TopicView(topic=topic.name, **shown)


def status_view(status: CaseStatus) -> StatusView:
    """The API view of a status."""
    return StatusView(**_fields(status))


def case_status_view(seen: CaseHistory) -> CaseStatusView:
    """The API view of a case's status. The case has at least one event."""
    statuses = seen.statuses()
    works = [WayView(**_fields(each), way=[_step(event) for event in seen.timeline(each.work_id)]) for each in statuses]
    latest = statuses[0]
    return CaseStatusView(
        case_id=seen.case_id, title=latest.title, source=latest.source, subject=latest.subject, works=works
    )


def ended(seen: CaseHistory) -> bool:
    """Whether each of its works has ended."""
    return all(status.end is not None for status in seen.statuses())


def record_positions(seen: CaseHistory, work: CaseStatus) -> list[Position]:
    """The positions of the records of the work's current life."""
    return [
        event.position
        for event in seen.timeline(work.work_id)
        if event.topic == RECORD_COMPLETED and event.life == work.life
    ]


def latest_in(seen: CaseHistory, work_id: WorkId, among: Iterable[str]) -> Position | None:
    """The position of the work's latest message in one of these topics."""
    names = frozenset(among)
    return next((each.position for each in reversed(seen.timeline(work_id)) if each.topic in names), None)


def _fields(status: CaseStatus) -> Mapping[str, Any]:
    return {**asdict(status), "since": _time(status.since_ms), "begun": _time(status.begun_ms)}


def _step(event: CaseEvent) -> StepView:
    return StepView(
        topic=event.topic,
        at=_time(event.written_ms),
        life=event.life,
        round=event.round,
        index=event.index,
        paths={state: event.paths.get(state, 0) for state in PATH_STATES},
        difficulty=event.difficulty,
        why=event.why,
        partition=event.position.partition,
        offset=event.position.offset,
    )


def _time(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms / 1000, UTC)
