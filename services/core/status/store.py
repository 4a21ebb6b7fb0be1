"""The port of the status store, and its result types."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from services.contracts.base import CaseId, RecipeId
from services.contracts.case import Difficulty
from services.core.status.case_status import (
    SLICE_S,
    Agreement,
    Bucket,
    CaseEvent,
    CaseHistory,
    CaseStatus,
    End,
    Savings,
)

MOST_READ = 10_000
"""The most statuses that one query reads."""
RATE_S = 60
"""Seconds that a rate spans, by Kafka's timestamps."""


@dataclass(frozen=True)
class Filter:
    """Which statuses a query returns; None: any."""

    topic: str | None = None
    end: End | Literal["open"] | None = None
    difficulty: Difficulty | None = None
    source: str | None = None
    recipe: RecipeId | None = None
    subject: str | None = None
    text: str | None = None
    """In the beginning of the stem, whatever the case of its letters."""
    score: int | None = None
    """A record of it has at least this score."""

    def takes(self, status: CaseStatus) -> bool:
        """Whether the status matches."""
        ended = status.end or "open"
        return (
            self.topic in (None, status.topic)
            and self.end in (None, ended)
            and self.difficulty in (None, status.difficulty)
            and self.source in (None, status.source)
            and self.recipe in (None, status.recipe_id)
            and self.subject in (None, status.subject)
            and (self.text is None or self.text.casefold() in status.title.casefold())
            and (self.score is None or (status.score or -1) >= self.score)
        )


@dataclass(frozen=True)
class RecordSum:
    """Records of one difficulty and model, summed."""

    difficulty: str
    alias: str
    records: int
    usd: float
    prompt: int
    completion: int


@dataclass(frozen=True)
class Tally:
    """Counts over all cases."""

    standing: Mapping[Bucket, int]
    """Works by topic and end."""
    oldest_ms: Mapping[str, int]
    """By topic: Unix time in milliseconds since which its oldest open work waits there."""
    seen: Mapping[str, int]
    """Messages by topic, without repeats."""
    recent: Mapping[str, int]
    """Of these, those written in the last RATE_S seconds."""
    routes: Mapping[str, int]
    """Works by difficulty."""
    refused: Mapping[str, int]
    """Questions by reason."""
    records: Sequence[RecordSum]
    case_seconds: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Of ended cases: by difficulty ('' for none), the number by bucket, as Delta.case_seconds."""
    spared: Sequence[Savings] = ()
    """By what spared the calls, and stage."""
    agreement: Sequence[Agreement] = ()
    """By model."""


class StatusStore(Protocol):
    """The store of case events, for any number of writers and readers. All methods raise LedgerAway."""

    async def observe(self, events: Sequence[CaseEvent]) -> None:
        """Add events. An event that the store already has changes nothing."""
        ...

    async def case(self, case_id: CaseId) -> CaseHistory | None:
        """The events of a case; None for an unknown one."""
        ...

    async def latest(self, which: Filter, *, limit: int) -> list[CaseStatus]:
        """The statuses that changed last, latest first, among at least the last 10,000 cases. For text, recipe, subject
        and score at most MOST_READ of them are looked at."""
        ...

    async def tally(self, now_ms: int) -> Tally:
        """Counts over all cases."""
        ...

    async def publish(self, figures: bytes) -> None:
        """Replace the published figures."""
        ...

    async def published(self) -> bytes | None:
        """The figures published last."""
        ...

    async def keep_minute(self, minute: int, snapshot: bytes) -> None:
        """Keep the totals of a minute (Unix time // 60), in place of earlier ones of it, and drop those of more than a
        day before it."""
        ...

    async def minutes(self, since: int) -> list[bytes]:
        """The totals kept since that minute, oldest first."""
        ...

    async def prune(self, older_than_s: float) -> int:
        """Drop cases whose works all ended more than that many seconds ago; returns their number. Counts stay."""
        ...


def recent_slices(now_ms: int) -> range:
    """The slices of the last RATE_S seconds, including the current one."""
    last = now_ms // 1000 // SLICE_S
    return range(last - RATE_S // SLICE_S + 1, last + 1)
