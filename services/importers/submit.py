"""Submissions into Kafka, in batches, each confirmed before the next."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from services.core.ports import Outgoing, Sink
from services.importers.rows import Rejected

BATCH = 200
"""Messages a batch: a round trip for so many costs little, and a broken-off run has little to repeat."""


@dataclass
class Counts:
    """What became of a file's rows."""

    submitted: int = 0
    rejected: int = 0


async def submit(
    rows: Iterable[Outgoing | Rejected],
    sink: Sink,
    *,
    on_rejected: Callable[[Rejected], None] = lambda row: None,
    on_progress: Callable[[Counts], None] = lambda counts: None,
) -> Counts:
    """Publish what is good, tell of what is not. Raises BrokerAway: what was counted is in Kafka, and all may be
    submitted again, since a question has the same id each time."""
    counts, batch = Counts(), list[Outgoing]()

    async def send() -> None:
        await sink.publish(batch)
        counts.submitted += len(batch)
        batch.clear()
        on_progress(counts)

    for row in rows:
        if isinstance(row, Rejected):
            counts.rejected += 1
            on_rejected(row)
            continue
        batch.append(row)
        if len(batch) == BATCH:
            await send()
    await send()
    return counts
