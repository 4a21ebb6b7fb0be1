"""Checks that the exporter makes progress and reaches Kafka (rules 10 and 11)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from services.core.errors import BrokerAway
from services.exporter.holding import Holding, Positions
from services.exporter.metrics import TableMetrics
from services.runtime.engine.stall import StallDetector, Stalled
from services.runtime.engine.watchdog import Health

LOOK_S = 5.0
"""Seconds between two checks."""
STILL_S = 60.0
"""Seconds without progress despite lag, or without an answer although new connections reach Kafka. Longer than writing
a part and confirming a dead letter take."""


class Watch:
    """Checks lag and broker; answers the health probes."""

    def __init__(
        self,
        consumer: Positions,
        holding: Holding,
        *,
        reachable: Callable[[], Awaitable[bool]],
        metrics: TableMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._consumer = consumer
        self._holding = holding
        self._reachable = reachable
        self._metrics = metrics
        self._clock = clock
        self._answers = False
        self._still = StallDetector(STILL_S)
        self._wedged = StallDetector(STILL_S)

    async def run(self) -> None:
        """Check until cancelled. Raises Stalled: the process must exit with an error, and be restarted."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """One check. Raises Stalled."""
        partitions = {partition.key: partition for partition in self._holding}
        try:
            bounds = await self._consumer.bounds(partitions)
            self._answers = bool(partitions) or await self._reachable()
        except BrokerAway:
            await self._look_from_outside()
            return
        self._wedged.lasts(self._clock(), bad=False)
        self._metrics.is_behind({key: bounds[key].stop - part.committed for key, part in partitions.items()})
        unread = any(part.next_offset < bounds[key].stop for key, part in partitions.items())
        moved = [(key, part.next_offset) for key, part in sorted(partitions.items())]
        if self._still.lasts(self._clock(), bad=unread and not self._holding.waits, moved=moved):
            raise Stalled(f"there are messages, and none was read for {STILL_S:g} s")

    def health(self) -> Health:
        """Ready: partitions are assigned, and Kafka answers."""
        why = [] if self._answers else ["Kafka does not answer"]
        held = any(True for _ in self._holding)
        return Health(live=True, ready=held and self._answers, why=why if held else [*why, "no partition is assigned"])

    async def _look_from_outside(self) -> None:
        self._answers = False
        if self._wedged.lasts(self._clock(), bad=await self._reachable()):
            raise Stalled(f"Kafka can be reached, but has not answered this client for {STILL_S:g} s")


def healthy(watches: Sequence[Watch]) -> Health:
    """The health of a process: ready if each of its watches finds that."""
    found = [watch.health() for watch in watches]
    why = list(dict.fromkeys(reason for health in found for reason in health.why))
    return Health(live=True, ready=all(health.ready for health in found), why=why)
