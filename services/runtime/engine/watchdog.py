"""`Watchdog`: whether the client still moves, and whether it reaches its broker (rules 10 and 11)."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from services.core.errors import BrokerAway
from services.core.messages import TopicPartition
from services.runtime.engine.counters import Counters
from services.runtime.engine.limits import Limits
from services.runtime.engine.source import Source
from services.runtime.engine.stall import StallDetector, Stalled


@dataclass(frozen=True)
class Health:
    """Live: leave the process alone. Ready: it does its work. `why` lists what is missing for either."""

    live: bool
    ready: bool
    why: list[str]


class Watchdog:
    """Checks lag and broker every `watch_s` seconds."""

    def __init__(
        self,
        *,
        source: Source,
        wanted: Callable[[], Collection[TopicPartition]],
        trouble: Callable[[], str | None],
        limits: Limits,
        counters: Counters,
        clock: Callable[[], float],
    ) -> None:
        """`wanted`: the partitions that are not paused. `trouble`: why nothing can be taken or committed at all (no
        assignment, a poll or a commit that failed); None while all is well."""
        self._source = source
        self._wanted = wanted
        self._trouble = trouble
        self._limits = limits
        self._counters = counters
        self._clock = clock
        self._answered: float | None = None
        self._troubled = False
        self._still = StallDetector(limits.still_s)
        self._wedged = StallDetector(limits.wedged_s)
        self.lag: Mapping[TopicPartition, int] = {}
        """As of the latest look that the broker answered."""

    @property
    def reachable(self) -> bool:
        """Whether the broker answered at one of the latest looks."""
        return self._answered is not None and self._clock() - self._answered < 3 * self._limits.watch_s

    async def run(self) -> None:
        """Until cancelled. Raises Stalled where the process must be started again; never because the broker is
        away."""
        while True:
            await self.look()
            await asyncio.sleep(self._limits.watch_s if self.reachable else min(1.0, self._limits.watch_s))

    async def look(self) -> None:
        """One look."""
        trouble = self._trouble()
        try:
            self.lag = dict(await self._source.lag())
            self._answered = self._clock()
        except BrokerAway as away:
            trouble = str(away)
        await self._detect_wedge(trouble)
        self._detect_stall()

    def _detect_stall(self) -> None:
        behind = self.reachable and any(self.lag.get(partition) for partition in self._wanted())
        moved = (self._counters.fetches, self._counters.pauses, self._counters.rebalances)
        if self._still.lasts(self._clock(), bad=behind, moved=moved):
            raise Stalled(f"lag, and nothing fetched for {self._limits.still_s:g} s: the client is stalled")

    async def _detect_wedge(self, trouble: str | None) -> None:
        # Only for lasting trouble: each check costs a new connection.
        bad = trouble is not None and self._troubled and await self._source.reachable()
        self._troubled = trouble is not None
        if self._wedged.lasts(self._clock(), bad=bad):
            raise Stalled(f"the broker is there, and yet for {self._limits.wedged_s:g} s: {trouble}")
