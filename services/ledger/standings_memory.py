"""The standings' fake: all in one process's memory, the same promises."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from services.core.errors import LedgerAway
from services.core.standings import (
    CaseSeen,
    Delta,
    Filter,
    RecordSum,
    Sighting,
    Standing,
    Tally,
    recent_slices,
)


class MemoryStandings:
    """Standings that end with their process. Set `away` to a reason, and every method raises LedgerAway with it."""

    def __init__(self) -> None:
        self.away: str | None = None
        self._cases: dict[str, CaseSeen] = {}
        self._sums = Delta()
        self._published: bytes | None = None

    async def observe(self, sightings: Sequence[Sighting]) -> None:
        self._check()
        by_case: defaultdict[str, list[Sighting]] = defaultdict(list)
        for sighting in sightings:
            by_case[sighting.case_id].append(sighting)
        for case_id, new in by_case.items():
            self._cases[case_id], delta = self._cases.get(case_id, CaseSeen(case_id)).with_(new)
            self._sums.standing.update(delta.standing)
            self._sums.seen.update(delta.seen)
            self._sums.slices.update(delta.slices)
            self._sums.routes.update(delta.routes)
            self._sums.records.update(delta.records)

    async def case(self, case_id: str) -> CaseSeen | None:
        self._check()
        return self._cases.get(case_id)

    async def latest(self, which: Filter, *, limit: int) -> list[Standing]:
        self._check()
        found = [each for each in self._standings() if which.takes(each)]
        return sorted(found, key=lambda standing: -standing.since_ms)[:limit]

    async def tally(self, now_ms: int) -> Tally:
        self._check()
        slices = recent_slices(now_ms)
        recent: Counter[str] = Counter()
        for (topic, number), count in self._sums.slices.items():
            if number in slices:
                recent[topic] += count
        oldest: dict[str, int] = {}
        for standing in self._standings():
            if standing.end is None:
                oldest[standing.topic] = min(standing.since_ms, oldest.get(standing.topic, standing.since_ms))
        return Tally(
            standing={bucket: count for bucket, count in self._sums.standing.items() if count},
            oldest_ms=oldest,
            seen=dict(self._sums.seen),
            recent=dict(recent),
            routes={route: count for route, count in self._sums.routes.items() if count},
            records=record_sums(self._sums.records),
        )

    async def publish(self, figures: bytes) -> None:
        self._check()
        self._published = figures

    async def published(self) -> bytes | None:
        self._check()
        return self._published

    async def prune(self, older_than_s: float) -> int:
        raise NotImplementedError

    def _standings(self) -> list[Standing]:
        return [standing for case in self._cases.values() for standing in case.standings()]

    def _check(self) -> None:
        if self.away is not None:
            raise LedgerAway(self.away)


def record_sums(counts: Counter[tuple[str, str, str]]) -> list[RecordSum]:
    """The counts of `Delta.records` as sums, by difficulty and alias."""
    return [
        RecordSum(
            difficulty=difficulty,
            alias=alias,
            records=counts[difficulty, alias, "n"],
            usd=counts[difficulty, alias, "nano_usd"] / 1e9,
            prompt=counts[difficulty, alias, "prompt"],
            completion=counts[difficulty, alias, "completion"],
        )
        for difficulty, alias in sorted({key[:2] for key in counts})
    ]
