"""The status of each case, as the topics show it: pure values.

A `CaseEvent` is one message of one topic. A case's events are a set: the result does not depend on how often a message
is read, on the order of topics, or on restarts of the reader.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from services.contracts.base import CaseId, RecipeId, WorkId
from services.contracts.case import Difficulty
from services.contracts.topics import RECORD_COMPLETED, stage_topic, topics
from services.core.messages import Position

End = Literal["accepted", "rejected", "dead", "refused"]
"""How a case ended: all its records completed; rejected by the router; a dead letter; refused at admission."""

SLICE_S = 10
"""Seconds per count of a rate."""

NO_WORK: Final = WorkId("")
NO_RECIPE: Final = RecipeId("")

Key = tuple[WorkId, int, str, int, int]
"""The key of an event within its case: work id, life, topic, round, index."""


@dataclass(frozen=True)
class Cost:
    """The cost of a record."""

    alias: str
    """The recipe's alias of the model that wrote the chain of thought."""
    usd: float
    prompt: int
    completion: int


@dataclass(frozen=True)
class Savings:
    """Calls of a stage that a case did not need."""

    by: str
    """What spared them: sampling or judging."""
    stage: str
    calls: int
    usd: float


@dataclass(frozen=True)
class Agreement:
    """How often the judge and the stated answer agree on the paths of one model, in a case that has ended."""

    alias: str
    gold: int
    """Judged paths that state the gold answer."""
    gold_in_error: int
    """Of these, those that the judge found in error."""
    other: int
    """Judged paths that state another answer."""
    other_correct: int
    """Of these, those that the judge found correct: one of the two is wrong."""


@dataclass(frozen=True, kw_only=True)
class CaseEvent:
    """One message of a case. Of two with the same key, the one written first is kept."""

    case_id: CaseId
    work_id: WorkId = NO_WORK
    """Empty for a question that is not a case yet."""
    recipe_id: RecipeId = NO_RECIPE
    life: int = 0
    round: int = 0
    """Refining rounds done."""
    index: int = 0
    """The index of a record within its case; of a case, how often more paths of the plan were asked for."""
    of: int = 0
    """For a record: the number of records of its case; otherwise 0."""
    position: Position
    written_ms: int
    """Unix time, by Kafka."""
    end: End | None = None
    """Set if this message ends the case. The dead letter of a record ends nothing and is not part of the timeline."""
    difficulty: Difficulty | None = None
    cost: Cost | None = None
    title: str = ""
    """The beginning of the stem."""
    source: str = ""
    subject: str = ""
    why: str = ""
    """The reason, for a rejected, dead or refused case."""
    score: int | None = None
    """Of a record's path."""
    paths: Mapping[str, int] = field(default_factory=dict)
    """Paths by state: correct, error, unknown, unverified."""
    spared: tuple[Savings, ...] = ()
    agreement: tuple[Agreement, ...] = ()
    """Of the router's last message of a case, by model; otherwise empty."""

    @property
    def topic(self) -> str:
        """The topic of the message; that of the live lane also for backfill, as a case passes the same stages."""
        return stage_topic(self.position.topic)

    @property
    def key(self) -> Key:
        """Events with the same key count once."""
        return self.work_id, self.life, self.topic, self.round, self.index

    @property
    def rank(self) -> tuple[int, int, int, int, int]:
        """The order of events in a case: by life; then outside the timeline, within it, or after all rounds (records,
        then the dead letter of a case); by round; by wave of the plan; by topic order."""
        dead = topics()[self.topic].message == "dead_letter"
        past = dead or self.topic == RECORD_COMPLETED
        wave = 0 if past else self.index
        return self.life, -1 if dead and self.end is None else int(past), self.round, wave, _ORDER[self.topic]

    @property
    def first(self) -> tuple[int, int, int]:
        """Of two events with the same key the lower one is kept: after partitions were added, a key may be in two."""
        return self.written_ms, self.position.partition, self.position.offset


_ORDER = {name: place for place, name in enumerate(topics())}
"""topics.yaml lists topics in the order in which a case passes them, dead letters last."""


@dataclass(frozen=True, kw_only=True)
class CaseStatus:
    """The current status of one work (a case under a recipe), or of a question that is not a case yet."""

    case_id: CaseId
    work_id: WorkId
    recipe_id: RecipeId
    life: int
    round: int
    topic: str
    """The last topic that it reached: the topic's consumer has it or will read it."""
    since_ms: int
    begun_ms: int
    """When its first message was written."""
    end: End | None
    difficulty: Difficulty | None
    title: str
    source: str
    subject: str
    why: str
    records: int
    """Records seen so far."""
    score: int | None = None
    """The best of these records' paths."""


CASE_SECONDS = (10, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400)
"""Upper bounds of the histogram of case seconds: a case makes twenty calls or more in rounds, each of up to minutes."""

MORE, SUM_MS = "+Inf", "sum_ms"

Bucket = tuple[str, str]
"""A topic, and an end or '' for open works."""


@dataclass
class Delta:
    """The changes that new events make to the counts of all cases."""

    standing: Counter[Bucket] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    """By topic."""
    slices: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By topic and Unix time // SLICE_S."""
    routes: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    """By reason: the word before the colon of `why`."""
    records: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By difficulty, alias and quantity: n, prompt, completion, nano-USD (integers, so that sums are exact)."""
    spared: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By what spared them, stage and quantity: n, nano-USD."""
    agreement: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By alias and quantity, as Agreement."""
    case_seconds: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Of ended cases, by difficulty and bucket (its upper bound, or MORE); under SUM_MS their sum in milliseconds."""


@dataclass(frozen=True)
class CaseHistory:
    """All events of one case."""

    case_id: CaseId
    events: Mapping[Key, CaseEvent] = field(default_factory=dict)

    def with_(self, new: Iterable[CaseEvent]) -> "tuple[CaseHistory, Delta]":
        """Add events; returns the new value and the change of counts. Order and repetition do not change the sums."""
        kept, delta = dict(self.events), Delta()
        for event in new:
            before = kept.get(event.key)
            if before is None or event.first < before.first:
                kept[event.key] = event
                _count(delta, event, 1)
                if before is not None:
                    _count(delta, before, -1)
        after = CaseHistory(self.case_id, kept)
        if kept != self.events:
            _move(delta, self, -1)
            _move(delta, after, 1)
        return after, delta

    def ended_before(self, at_ms: int) -> bool:
        """Whether all works of the case ended before that time."""
        return all(status.end is not None and status.since_ms < at_ms for status in self.statuses())

    def statuses(self) -> list[CaseStatus]:
        """The status of each work, or of the question if there is none yet; the last changed first."""
        works = sorted({key[0] for key in self.events})
        if len(works) > 1 and works[0] == "":
            works = works[1:]
        found = [self._status(work_id) for work_id in works]
        return sorted(found, key=lambda status: (-status.since_ms, status.work_id))

    def timeline(self, work_id: WorkId) -> list[CaseEvent]:
        """The events of a work and of its question, in the order of the stream."""
        mine = [event for event in self.events.values() if event.work_id in ("", work_id)]
        return sorted(mine, key=lambda event: (event.rank, event.index))

    def _status(self, work_id: WorkId) -> CaseStatus:
        mine = [event for event in self.events.values() if event.work_id == work_id]
        mine.sort(key=lambda event: (event.rank, event.first))
        last = mine[-1]
        records = {event.index for event in mine if event.of and event.life == last.life}
        whole = last.of > 0 and len(records) == last.of
        titled = next((event for event in reversed(mine) if event.title), last)
        return CaseStatus(
            case_id=self.case_id,
            work_id=work_id,
            recipe_id=last.recipe_id,
            life=last.life,
            round=last.round,
            topic=last.topic,
            since_ms=last.written_ms,
            begun_ms=min(event.written_ms for event in self.timeline(work_id)),
            end="accepted" if whole else last.end,
            difficulty=next((event.difficulty for event in reversed(mine) if event.difficulty), None),
            title=titled.title,
            source=titled.source,
            subject=titled.subject,
            why=last.why,
            records=len(records),
            score=max((event.score for event in mine if event.score is not None), default=None),
        )


def _count(delta: Delta, event: CaseEvent, by: int) -> None:
    delta.seen[event.topic] += by
    delta.slices[event.topic, event.written_ms // 1000 // SLICE_S] += by
    if (cost := event.cost) is not None and event.topic == RECORD_COMPLETED:
        sums = {"n": 1, "prompt": cost.prompt, "completion": cost.completion, "nano_usd": round(cost.usd * 1e9)}
        for what, value in sums.items():
            delta.records[event.difficulty or "", cost.alias, what] += by * value
    for each in event.spared:
        delta.spared[each.by, each.stage, "n"] += by * each.calls
        delta.spared[each.by, each.stage, "nano_usd"] += by * round(each.usd * 1e9)
    for model in event.agreement:
        for what in ("gold", "gold_in_error", "other", "other_correct"):
            delta.agreement[model.alias, what] += by * getattr(model, what)


def _move(delta: Delta, case: CaseHistory, by: int) -> None:
    for status in case.statuses():
        delta.standing[status.topic, status.end or ""] += by
        if status.difficulty is not None:
            delta.routes[status.difficulty] += by
        if status.end == "refused":
            delta.refused[status.why.partition(":")[0]] += by
        elif status.end is not None:
            _time(delta, status, by)


def _time(delta: Delta, status: CaseStatus, by: int) -> None:
    took_ms = max(0, status.since_ms - status.begun_ms)
    bound = next((str(bound) for bound in CASE_SECONDS if took_ms <= bound * 1000), MORE)
    delta.case_seconds[status.difficulty or "", bound] += by
    delta.case_seconds[status.difficulty or "", SUM_MS] += by * took_ms
