"""Publishes submissions to Kafka in batches; each is confirmed before the next."""

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
"""Rows per batch: few round trips, and little to repeat after an interruption."""
AWAY_S = 5.0
"""Seconds between retries while the broker is away, as in the services."""


@dataclass
class Counts:
    """Counts of rows by outcome."""

    submitted: int = 0
    rejected: int = 0
    flagged: int = 0
    """Submitted and flagged."""


class Stop:
    """Whether the user asked to stop."""

    def __init__(self) -> None:
        self._wanted = asyncio.Event()

    def __bool__(self) -> bool:
        return self._wanted.is_set()

    def set(self) -> None:
        """Stop after the current batch."""
        self._wanted.set()

    async def within(self, seconds: float) -> bool:
        """Wait up to `seconds`; returns True as soon as a stop is requested."""
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
    has confirmed it: exactly these rows have been read. Raises BrokerAway; it is safe to submit all again, since a
    question keeps its id."""
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
        await asyncio.sleep(0)  # a batch without records never waits: let the loop handle Ctrl-C
    return counts


async def retry_while_away(action: Callable[[], Awaitable[T]], stop: Stop, warn: Callable[[str], None]) -> T:
    """The result of `action`, retried while the broker is away, with a warning each time. Raises BrokerAway after a
    stop request."""
    while True:
        try:
            return await action()
        except BrokerAway as away:
            warn(str(away))
            if await stop.within(AWAY_S):
                raise


class PatientSink:
    """A sink that retries while the broker is away, for runs that end on request only."""

    def __init__(self, sink: Sink, stop: Stop, warn: Callable[[str], None]) -> None:
        self._sink = sink
        self._stop = stop
        self._warn = warn

    async def publish(self, messages: Sequence[OutgoingRecord]) -> None:
        """As in the port; raises BrokerAway only after a stop request."""
        await retry_while_away(lambda: self._sink.publish(messages), self._stop, self._warn)
