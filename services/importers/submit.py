"""Submissions into Kafka, in batches, each confirmed before the next."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from services.core.errors import BrokerAway
from services.core.messages import OutgoingRecord, Sink
from services.importers.rows import Rejected

T = TypeVar("T")

BATCH = 200
"""Rows a batch: a round trip for so many costs little, and a broken-off run has little to repeat."""
AWAY_S = 5.0
"""Seconds before a broker that is away is asked again: as the services do."""


@dataclass
class Counts:
    """What became of rows."""

    submitted: int = 0
    rejected: int = 0


class Stop:
    """Whether the user wants it to end."""

    def __init__(self) -> None:
        self._wanted = asyncio.Event()

    def __bool__(self) -> bool:
        return self._wanted.is_set()

    def set(self) -> None:
        """End soon: after the batch that is under way."""
        self._wanted.set()

    async def within(self, seconds: float) -> bool:
        """Wait so long at most; True as soon as the end is wanted."""
        try:
            async with asyncio.timeout(seconds):
                return await self._wanted.wait()
        except TimeoutError:
            return False


async def submit(
    rows: Iterable[OutgoingRecord | Rejected],
    sink: Sink,
    *,
    on_rejected: Callable[[Rejected], None] = lambda row: None,
    on_progress: Callable[[Counts], None] = lambda counts: None,
    stop: Stop | None = None,
) -> Counts:
    """Publish what is good, tell of what is not. After each batch `on_progress` hears how many: those, and nothing
    else of `rows`, have been taken. Raises BrokerAway: what was told of is in Kafka, and all may be submitted again,
    since a question has the same id each time."""
    counts, left = Counts(), iter(rows)
    while not stop and (batch := list(islice(left, BATCH))):
        rejected = [row for row in batch if isinstance(row, Rejected)]
        good = [row for row in batch if not isinstance(row, Rejected)]
        for row in rejected:
            on_rejected(row)
        await sink.publish(good)
        counts.submitted += len(good)
        counts.rejected += len(rejected)
        on_progress(counts)
        await asyncio.sleep(0)  # a batch with nothing to publish waits for nothing: Ctrl-C is to be heard all the same
    return counts


async def retry_while_away(action: Callable[[], Awaitable[T]], stop: Stop, tell: Callable[[str], None]) -> T:
    """The result of `action`, begun anew while the broker is away; `tell` hears of each time. Raises BrokerAway once
    the end is wanted."""
    while True:
        try:
            return await action()
        except BrokerAway as away:
            tell(str(away))
            if await stop.within(AWAY_S):
                raise


class PatientSink:
    """A sink that waits while the broker is away: for what runs until it is told to stop."""

    def __init__(self, sink: Sink, stop: Stop, tell: Callable[[str], None]) -> None:
        self._sink = sink
        self._stop = stop
        self._tell = tell

    async def publish(self, messages: Sequence[OutgoingRecord]) -> None:
        """As the port says; raises BrokerAway only once the end is wanted."""
        await retry_while_away(lambda: self._sink.publish(messages), self._stop, self._tell)
