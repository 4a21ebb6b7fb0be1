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
    flagged: int = 0
    """Submitted, with something to say against them."""


class Stop:
    """Whether the user asked for the end."""

    def __init__(self) -> None:
        self._wanted = asyncio.Event()

    def __bool__(self) -> bool:
        return self._wanted.is_set()

    def set(self) -> None:
        """End soon: after the batch that is under way."""
        self._wanted.set()

    async def within(self, seconds: float) -> bool:
        """Wait so long at most; True as soon as the end is asked for."""
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
    """Publish the records; call `on_rejected` for the other rows. `on_progress` is called after each batch, when Kafka
    has confirmed it: exactly these rows have been read. Raises BrokerAway: all may be submitted again, since a question
    has the same id each time."""
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
        await asyncio.sleep(0)  # a batch with nothing to publish never waits, and Ctrl-C needs a turn of the loop
    return counts


async def retry_while_away(action: Callable[[], Awaitable[T]], stop: Stop, warn: Callable[[str], None]) -> T:
    """The result of `action`, retried while the broker is away, each time with a warning. Raises BrokerAway once the
    end is asked for."""
    while True:
        try:
            return await action()
        except BrokerAway as away:
            warn(str(away))
            if await stop.within(AWAY_S):
                raise


class PatientSink:
    """A sink that waits while the broker is away: for a run that ends on request only."""

    def __init__(self, sink: Sink, stop: Stop, warn: Callable[[str], None]) -> None:
        self._sink = sink
        self._stop = stop
        self._warn = warn

    async def publish(self, messages: Sequence[OutgoingRecord]) -> None:
        """As the port says; raises BrokerAway only once the end is asked for."""
        await retry_while_away(lambda: self._sink.publish(messages), self._stop, self._warn)
