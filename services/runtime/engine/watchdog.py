"""`Watchdog`: whether the client still moves, and whether it reaches its broker (rules 10 and 11)."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

import structlog

from services.core.errors import BrokerAway
from services.runtime.engine.limits import Limits
from services.runtime.engine.source import Source, TopicPartition
from services.runtime.engine.stall import StallDetector, Stalled
from services.runtime.engine.stats import EngineStats

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Health:
    """Live: leave the process alone. Ready: it does its work. `why` says what is missing to either."""

    live: bool
    ready: bool
    why: list[str]


class Watched(Protocol):
    """What the watch sees of the taking."""

    @property
    def wanted(self) -> Collection[TopicPartition]:
        """The partitions that are not paused now."""
        ...

    @property
    def pauses(self) -> int:
        """How often nothing was wanted."""
        ...


class Watchdog:
    """Looks at lag and broker every `watch_s` seconds."""

    def __init__(
        self,
        *,
        source: Source,
        watched: Watched,
        trouble: Callable[[], str | None],
        limits: Limits,
        stats: EngineStats,
        clock: Callable[[], float],
    ) -> None:
        """`trouble`: why nothing can be taken or committed at all: no assignment, a poll or a commit that failed. None
        while all is well."""
        self._source = source
        self._watched = watched
        self._trouble = trouble
        self._limits = limits
        self._stats = stats
        self._clock = clock
        self._answered: float | None = None
        self._troubled = False
        self._still = StallDetector(limits.still_s)
        self._wedged = StallDetector(limits.wedged_s)

    @property
    def reachable(self) -> bool:
        """Whether the broker answered us at one of the latest looks."""
        return self._answered is not None and self._clock() - self._answered < 3 * self._limits.watch_s

    async def run(self) -> None:
        """Until cancelled. Raises Stalled where the process is to be started again; never because the broker is
        away."""
        while True:
            await self.look()
            await asyncio.sleep(self._limits.watch_s if self.reachable else min(1.0, self._limits.watch_s))

    async def look(self) -> None:
        """One look."""
        trouble = self._trouble()
        try:
            self._stats.lag = dict(await self._source.lag())
            self._answered = self._clock()
        except BrokerAway as away:
            trouble = str(away)
        await self._look_for_wedge(trouble)
        self._look_for_standstill()

    def _look_for_standstill(self) -> None:
        behind = self.reachable and any(self._stats.lag.get(partition) for partition in self._watched.wanted)
        moved = (self._stats.fetches, self._watched.pauses, self._stats.rebalances)
        if self._still.lasts(self._clock(), bad=behind, moved=moved):
            raise Stalled(f"lag, and nothing fetched for {self._limits.still_s:g} s: the client stands still")

    async def _look_for_wedge(self, trouble: str | None) -> None:
        # Asked only for a trouble that lasts: a new connection for each look is a cost.
        bad = trouble is not None and self._troubled and await self._source.reachable()
        self._troubled = trouble is not None
        if self._wedged.lasts(self._clock(), bad=bad):
            raise Stalled(f"the broker is there, and yet for {self._limits.wedged_s:g} s: {trouble}")
