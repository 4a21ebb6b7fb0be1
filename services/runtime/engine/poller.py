"""`Poller`: the polling step. Takes no more records than can be processed (rules 2 and 4)."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

import structlog

from services.contracts.topics import Lane, lane_of
from services.core.errors import BrokerAway
from services.core.lanes import Turns
from services.core.messages import ConsumedRecord, TopicPartition
from services.runtime.engine.commit_rule import Window
from services.runtime.engine.counters import Counters
from services.runtime.engine.in_flight import InFlight
from services.runtime.engine.limits import Limits
from services.runtime.engine.source import Source

log = structlog.get_logger(__name__)

Intake = Literal["closed", "probe", "open"]
"""Whether records may be taken now. probe: one, although the circuit is open."""


@dataclass(frozen=True)
class _Request:
    wanted: Collection[TopicPartition] = ()
    limit: int = 0
    before: Sequence[tuple[Collection[TopicPartition], int]] = ()
    """Groups of the wanted ones that are asked before all are, one after the other, each with its limit."""
    probe: bool = False


class Poller:
    """Polls continuously, with no partition wanted while nothing may be taken."""

    def __init__(
        self,
        *,
        source: Source,
        windows: Mapping[TopicPartition, Window],
        in_flight: InFlight,
        intake: Callable[[], Intake],
        begin: Callable[[ConsumedRecord, bool], None],
        limits: Limits,
        counters: Counters,
    ) -> None:
        """`begin` gets each record, and whether it is a probe; it returns at once."""
        self._source = source
        self._windows = windows
        self._in_flight = in_flight
        self._intake = intake
        self._begin = begin
        self._limits = limits
        self._counters = counters
        self._turns = Turns(limits.backfill_share)
        self._changed = asyncio.Event()
        self._failed: str | None = None
        self.joined = False
        """Whether this member has its share of the partitions, even if that is none."""
        self.wanted: Collection[TopicPartition] = ()
        """The partitions that are not paused now."""

    def changed(self) -> None:
        """A record ended, or an assignment came: there may be room again."""
        self._changed.set()

    @property
    def trouble(self) -> str | None:
        """Why nothing can be taken at all; None while it can."""
        return self._failed if self.joined else self._failed or "no assignment"

    async def run(self) -> None:
        """Until cancelled. Raises Stalled."""
        while True:
            self._changed.clear()
            request = self._request()
            self.wanted = request.wanted
            try:
                if request.wanted:
                    await self._take(request)
                else:
                    await self._pause()
                self._failed = None
            except BrokerAway as away:
                if str(away) != self._failed:  # once an outage, not twice a second
                    log.warning("poll failed", error=str(away))
                self._failed = str(away)
                await asyncio.sleep(self._limits.poll_s)

    async def _take(self, request: _Request) -> None:
        records: list[ConsumedRecord] = []
        for partitions, limit in request.before:
            if not records:
                records = await self._source.poll(partitions, limit=limit, timeout_s=0.0)
        if not records:
            records = await self._source.poll(request.wanted, limit=request.limit, timeout_s=self._limits.poll_s)
        self._counters.fetches += bool(records)
        for record in records:
            self._turns.took(lane_of(record.topic))
            self._begin(record, request.probe)

    async def _pause(self) -> None:
        """Poll for nothing, and wait for a change (rule 4: never stop polling, no busy loops)."""
        self._counters.pauses += 1
        await self._source.poll((), limit=1, timeout_s=0)
        try:
            async with asyncio.timeout(self._limits.poll_s):
                await self._changed.wait()
        except TimeoutError:
            pass

    def _request(self) -> _Request:
        intake = self._intake()
        match intake:
            case "closed":
                return _Request()
            case "probe":
                return _Request(self._open_partitions(), limit=1, probe=True)
            case "open":
                wanted = self._open_partitions()
                return _Request(wanted, limit=self._limit(wanted), before=self._before(wanted))
            case _:
                assert_never(intake)

    def _open_partitions(self) -> Collection[TopicPartition]:
        """Room is counted by topic, so that records which wait in one topic never stop another; or by topics that share
        it."""
        return [
            partition
            for partition, window in self._windows.items()
            if window.size < self._limits.window
            and self._free(partition.topic) > 0
            and not (self._limits.in_order and window.in_flight)
        ]

    def _limit(self, wanted: Collection[TopicPartition]) -> int:
        free = min((self._free(partition.topic) for partition in wanted), default=0)
        return min(1, free) if self._limits.in_order else free

    def _before(self, wanted: Collection[TopicPartition]) -> Sequence[tuple[Collection[TopicPartition], int]]:
        """The wanted ones by lane and priority, with limits. A turn of backfill before live is one record's."""
        first = self._turns.first()
        groups = defaultdict[tuple[bool, int], list[TopicPartition]](list)
        for partition in wanted:
            lane, priority = self._rank(partition.topic)
            groups[lane != first, priority].append(partition)
        if len(groups) == 1:
            return []
        single = first == "backfill" and any(later for later, _ in groups)
        return [
            (groups[later, priority], 1 if single and not later else self._limit(groups[later, priority]))
            for later, priority in sorted(groups)
        ]

    def _rank(self, topic: str) -> tuple[Lane, int]:
        by_priority = self._limits.by_priority
        return lane_of(topic), by_priority.index(topic) if topic in by_priority else len(by_priority)

    def _free(self, topic: str) -> int:
        """Each lane has its own room, so that live records find it however long the backfill is."""
        sharing = self._limits.by_priority if topic in self._limits.by_priority else (topic,)
        own = (each for each in sharing if lane_of(each) == lane_of(topic))
        return self._limits.cases - sum(map(self._in_flight.of_topic, own))
