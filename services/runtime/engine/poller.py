"""`Poller`: takes messages, never more than can be carried; and tells which partitions are ours (rules 2, 4, 5)."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import structlog

from services.core.errors import BrokerAway
from services.core.messages import ConsumedRecord
from services.runtime.engine.limits import Limits
from services.runtime.engine.source import Source, TopicPartition
from services.runtime.engine.stats import EngineStats
from services.runtime.engine.window import Window

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Capacity:
    """How many messages may be taken now, beside what the windows allow; `probe`: one, although the circuit is open."""

    free: int
    probe: bool = False


class Poller:
    """Polls for ever: with nothing wanted where nothing may be taken."""

    def __init__(
        self,
        *,
        source: Source,
        windows: Mapping[TopicPartition, Window],
        appetite: Callable[[], Capacity],
        begin: Callable[[ConsumedRecord, bool], None],
        limits: Limits,
        stats: EngineStats,
    ) -> None:
        """`begin` is told of each message, and whether it is a probe; it returns at once."""
        self._source = source
        self._windows = windows
        self._appetite = appetite
        self._begin = begin
        self._limits = limits
        self._stats = stats
        self._changed = asyncio.Event()
        self.joined = False
        self.failed: str | None = None
        self.pauses = 0
        self.wanted: Collection[TopicPartition] = ()

    def changed(self) -> None:
        """Something ended, or an assignment came: there may be an appetite again."""
        self._changed.set()

    @property
    def trouble(self) -> str | None:
        """Why nothing can be taken at all; None while it can."""
        return self.failed if self.joined else self.failed or "no assignment"

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._changed.clear()
            appetite = self._appetite()
            self.wanted = self._wants() if appetite.free > 0 else ()
            try:
                if self.wanted:
                    await self._take(appetite)
                else:
                    await self._show_life()
                self.failed = None
            except BrokerAway as away:
                if str(away) != self.failed:  # once an outage, not twice a second
                    log.warning("poll failed", error=str(away))
                self.failed = str(away)
                await asyncio.sleep(self._limits.poll_s)

    async def _take(self, appetite: Capacity) -> None:
        messages = await self._source.poll(self.wanted, limit=appetite.free, timeout_s=self._limits.poll_s)
        self._stats.fetches += bool(messages)
        for message in messages:
            self._begin(message, appetite.probe)

    async def _show_life(self) -> None:
        """Poll for nothing, and wait for a change (rule 4: never stop polling, no busy loops)."""
        self.pauses += 1
        await self._source.poll((), limit=1, timeout_s=0)
        try:
            async with asyncio.timeout(self._limits.poll_s):
                await self._changed.wait()
        except TimeoutError:
            pass

    def _wants(self) -> Collection[TopicPartition]:
        return [partition for partition, window in self._windows.items() if window.size < self._limits.window]
