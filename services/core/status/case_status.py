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
from services.contracts.topics import RECORD_COMPLETED, topics
from services.core.messages import Position

End = Literal["accepted", "rejected", "dead", "refused"]
"""How a case ended: all its records completed; given up; a dead letter; refused at admission."""

SLICE_S = 10
"""Seconds that one count of a rate spans."""

NO_WORK: Final = WorkId("")
NO_RECIPE: Final = RecipeId("")

Key = tuple[WorkId, int, str, int, int]
"""Of an event among its case's: work id, life, topic, round, index."""


@dataclass(frozen=True)
class Cost:
    """What a record cost."""

    alias: str
    """The recipe's alias of the model that wrote the chain of thought."""
    usd: float
    prompt: int
    completion: int


@dataclass(frozen=True, kw_only=True)
class CaseEvent:
    """One message of a case. Of two with the same key, the one written first is kept."""

    case_id: CaseId
    work_id: WorkId = NO_WORK
    """Empty for a question that is no case yet."""
    recipe_id: RecipeId = NO_RECIPE
    life: int = 0
    round: int = 0
    """Refining rounds done."""
    index: int = 0
    """A record's place among its case's."""
    of: int = 0
    """Of a record: how many its case has; 0 for all else."""
    position: Position
    written_ms: int
    """Unix time, by Kafka."""
    end: End | None = None
    """Where this message alone is the case's end; a dead letter that is none (a record's) is beside its way."""
    difficulty: Difficulty | None = None
    cost: Cost | None = None
    title: str = ""
    """The beginning of the stem."""
    source: str = ""
    subject: str = ""
    why: str = ""
    """Of a rejected, dead or refused one."""
    paths: Mapping[str, int] = field(default_factory=dict)
    """How many stand how: correct, error, unknown, unverified."""

    @property
    def topic(self) -> str:
        """Where it was seen."""
        return self.position.topic

    @property
    def key(self) -> Key:
        """Two events with the same key are one."""
        return self.work_id, self.life, self.topic, self.round, self.index

    @property
    def rank(self) -> tuple[int, int, int, int]:
        """How far on a case's way this is: life; what is beside the way, on it, and past all rounds (records, then the
        dead letter of a case); round; the topic's place."""
        dead = topics()[self.topic].message == "dead_letter"
        past = dead or self.topic == RECORD_COMPLETED
        return self.life, -1 if dead and self.end is None else int(past), self.round, _ORDER[self.topic]

    @property
    def first(self) -> tuple[int, int, int]:
        """Of two with the same key the lower one stays: a topic that got more partitions may have them in two."""
        return self.written_ms, self.position.partition, self.position.offset


_ORDER = {name: place for place, name in enumerate(topics())}
"""topics.yaml has them in the order of a case's way, with dead letters last."""


@dataclass(frozen=True, kw_only=True)
class CaseStatus:
    """Where one work (a case under a recipe) stands now, or a question that is no case yet."""

    case_id: CaseId
    work_id: WorkId
    recipe_id: RecipeId
    life: int
    round: int
    topic: str
    """Where it was seen last on its way: whoever reads that topic has it, or will."""
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
    """Seen so far."""


Bucket = tuple[str, str]
"""A topic, and an end or '' for what goes on."""


@dataclass
class Delta:
    """What a set of events changes in what is counted of all cases."""

    standing: Counter[Bucket] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    """By topic."""
    slices: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By topic and Unix time // SLICE_S."""
    routes: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    """By reason: the word before the colon of `why`."""
    records: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By difficulty, alias, and what is counted: n, prompt, completion, and nano-USD, which sum exactly."""


@dataclass(frozen=True)
class CaseSeen:
    """All that was seen of one case."""

    case_id: CaseId
    events: Mapping[Key, CaseEvent] = field(default_factory=dict)

    def with_(self, new: Iterable[CaseEvent]) -> "tuple[CaseSeen, Delta]":
        """With these added, and what that changes. Any order and any repetition come to the same sum."""
        kept, delta = dict(self.events), Delta()
        for event in new:
            before = kept.get(event.key)
            if before is None or event.first < before.first:
                kept[event.key] = event
                _count(delta, event, 1)
                if before is not None:
                    _count(delta, before, -1)
        after = CaseSeen(self.case_id, kept)
        if kept != self.events:
            _move(delta, self, -1)
            _move(delta, after, 1)
        return after, delta

    def ended_before(self, at_ms: int) -> bool:
        """Whether every work of it ended before then."""
        return all(standing.end is not None and standing.since_ms < at_ms for standing in self.standings())

    def standings(self) -> list[CaseStatus]:
        """Each of its works; the question itself where there is none yet. Those that changed last come first."""
        works = sorted({key[0] for key in self.events})
        if len(works) > 1 and works[0] == "":
            works = works[1:]
        found = [self._standing(work_id) for work_id in works]
        return sorted(found, key=lambda standing: (-standing.since_ms, standing.work_id))

    def way(self, work_id: WorkId) -> list[CaseEvent]:
        """The work's messages, with the question's own, in the order of their way."""
        mine = [event for event in self.events.values() if event.work_id in ("", work_id)]
        return sorted(mine, key=lambda event: (event.rank, event.index))

    def _standing(self, work_id: WorkId) -> CaseStatus:
        mine = [event for event in self.events.values() if event.work_id == work_id]
        mine.sort(key=lambda event: (event.rank, event.first))
        last = mine[-1]
        records = {event.index for event in mine if event.of and event.life == last.life}
        whole = last.of > 0 and len(records) == last.of
        told = next((event for event in reversed(mine) if event.title), last)
        return CaseStatus(
            case_id=self.case_id,
            work_id=work_id,
            recipe_id=last.recipe_id,
            life=last.life,
            round=last.round,
            topic=last.topic,
            since_ms=last.written_ms,
            begun_ms=min(event.written_ms for event in self.way(work_id)),
            end="accepted" if whole else last.end,
            difficulty=next((event.difficulty for event in reversed(mine) if event.difficulty), None),
            title=told.title,
            source=told.source,
            subject=told.subject,
            why=last.why,
            records=len(records),
        )


def _count(delta: Delta, event: CaseEvent, by: int) -> None:
    delta.seen[event.topic] += by
    delta.slices[event.topic, event.written_ms // 1000 // SLICE_S] += by
    if (cost := event.cost) is not None and event.topic == RECORD_COMPLETED:
        sums = {"n": 1, "prompt": cost.prompt, "completion": cost.completion, "nano_usd": round(cost.usd * 1e9)}
        for what, value in sums.items():
            delta.records[event.difficulty or "", cost.alias, what] += by * value


def _move(delta: Delta, case: CaseSeen, by: int) -> None:
    for standing in case.standings():
        delta.standing[standing.topic, standing.end or ""] += by
        if standing.difficulty is not None:
            delta.routes[standing.difficulty] += by
        if standing.end == "refused":
            delta.refused[standing.why.partition(":")[0]] += by
