"""`Poller`: the polling step. Takes no more records than can be processed (rules 2 and 4)."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

import structlog

from services.core.errors import BrokerAway
from services.core.messages import ConsumedRecord
from services.runtime.engine.commit_rule import Window
from services.runtime.engine.counters import Counters
from services.runtime.engine.in_flight import InFlight
from services.runtime.engine.limits import Limits
from services.runtime.engine.source import Source, TopicPartition

log = structlog.get_logger(__name__)

Intake = Literal["closed", "probe", "open"]
"""Whether records may be taken now. probe: one, although the circuit is open."""


@dataclass(frozen=True)
class _Request:
    wanted: Collection[TopicPartition] = ()
    limit: int = 0
    before: Sequence[Collection[TopicPartition]] = ()
    """Groups of the wanted ones that are asked before all are, one after the other."""
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
        turns = [*((partitions, 0.0) for partitions in request.before), (request.wanted, self._limits.poll_s)]
        records: list[ConsumedRecord] = []
        for partitions, timeout_s in turns:
            if not records:
                records = await self._source.poll(partitions, limit=request.limit, timeout_s=timeout_s)
        self._counters.fetches += bool(records)
        for record in records:
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
                free = min((self._free(partition.topic) for partition in wanted), default=0)
                return _Request(wanted, limit=1 if self._limits.in_order else free, before=self._before(wanted))
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

    def _before(self, wanted: Collection[TopicPartition]) -> Sequence[Collection[TopicPartition]]:
        groups = ([each for each in wanted if each.topic == topic] for topic in self._limits.by_priority[:-1])
        return [group for group in groups if group]

    def _free(self, topic: str) -> int:
        sharing = self._limits.by_priority if topic in self._limits.by_priority else (topic,)
        return self._limits.cases - sum(map(self._in_flight.of_topic, sharing))
