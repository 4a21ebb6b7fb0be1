"""Whether a Faust app still moves, and reaches its broker (rules 10 and 11)."""

import asyncio
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import faust
import structlog

from services.runtime.engine.limits import Limits
from services.runtime.engine.source import TopicPartition
from services.runtime.engine.stall import StallDetector, Stalled, over
from services.runtime.faust.in_order import Places
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.reachable import reachable

log = structlog.get_logger(__name__)

ANSWER_S = 5.0
"""That a look waits for the broker, in seconds."""

_Bounds = Mapping[Any, range]
"""The offsets that each partition holds."""


class FaustWatch:
    """Looks at an app's assignment, lag and broker. `aclose` it."""

    def __init__(
        self,
        app: faust.App,
        *,
        client: KafkaClient,
        topics: Collection[str],
        places: Places,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        """`topics`: those that are read. `places`: what is known of them."""
        self._app = app
        self._client = client
        self._topics = topics
        self._places = places
        self._limits = limits
        self._clock = clock
        self._still = StallDetector(limits.still_s)
        self._wedged = StallDetector(limits.wedged_s)
        self._asked: asyncio.Task[_Bounds] | None = None
        self._answered = -math.inf

    @property
    def joined(self) -> bool:
        """Whether we have our share of the partitions, if it is none."""
        app: Any = self._app
        return app._assignment is not None and not app.rebalancing

    @property
    def reachable(self) -> bool:
        """Whether the broker answered at one of the latest looks."""
        return self._clock() - self._answered <= 3 * self._limits.watch_s

    async def look(self, *, waiting: bool, moved: object) -> None:
        """One look. `waiting`: messages are held, with reason. `moved` changes when any ends. Raises Stalled where
        the process is to be started again; never because the broker is away."""
        if why := self._over():
            raise Stalled(why)
        lag = await self._lag()
        if self._still.lasts(self._clock(), bad=lag > 0 and not waiting, moved=moved):
            raise Stalled(f"{lag} messages wait, none is read")
        consumer: Any = self._app.consumer
        trouble = not (self.joined and self.reachable) or consumer.refused
        if self._wedged.lasts(self._clock(), bad=trouble and await reachable(self._client)):
            raise Stalled(f"the broker is there, and no assignment, answer or commit for {self._limits.wedged_s:g} s")

    async def aclose(self) -> None:
        """Ask no more."""
        if self._asked is not None:
            self._asked.cancel()
            await asyncio.gather(self._asked, return_exceptions=True)

    def _over(self) -> str | None:
        consumer: Any = self._app.consumer
        return over(consumer._thread._consumer) if consumer._thread and consumer._thread._consumer else None

    async def _lag(self) -> int:
        """Messages in our partitions that have not ended; 0 where the broker doesn't say."""
        partitions = self._app.consumer.assignment()
        # One asking at a time: aiokafka goes on with it for a minute, and Faust's thread has two hands.
        self._asked = self._asked or asyncio.create_task(
            self._bounds(partitions or [TopicPartition(topic, 0) for topic in self._topics])
        )
        await asyncio.wait({self._asked}, timeout=ANSWER_S)
        if not self._asked.done():
            log.warning("no answer from Kafka", after_s=ANSWER_S)
            return 0
        asked, self._asked = self._asked, None
        if error := asked.exception():  # aiokafka's, through Faust's thread: any of them says that the broker is away
            log.warning("no answer from Kafka", error=type(error).__name__)
            return 0
        self._answered = self._clock()
        bounds = asked.result()
        return sum(
            max(0, bounds[key].stop - max(self._at(TopicPartition(*key)), bounds[key].start))
            for key in partitions & bounds.keys()
        )

    async def _bounds(self, partitions: Collection[Any]) -> _Bounds:
        consumer: Any = self._app.consumer
        ends = await consumer.highwaters(*partitions)
        starts = await consumer.earliest_offsets(*partitions)
        return {key: range(starts[key], ends[key]) for key in partitions}

    def _at(self, partition: TopicPartition) -> int:
        """The first offset of a partition that has not ended, as far as we know."""
        place = self._places.of(partition, self._app.consumer_generation_id)
        consumer: Any = self._app.consumer
        return place.next if place is not None else consumer._committed_offset.get(partition) or 0
