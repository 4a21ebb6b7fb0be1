"""The records in flight: one task for each, by topic, partition and offset."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from services.core.messages import ConsumedRecord, TopicPartition

Task = asyncio.Task[None]
Process = Callable[[], Coroutine[Any, Any, None]]
"""What is done with a record."""


class InFlight:
    """Tasks of the records that have begun and not ended."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        """`on_end` is called after each end: there is room for another record."""
        self._on_end = on_end
        self._all: set[Task] = set()
        self._by_offset: dict[tuple[TopicPartition, int], set[Task]] = defaultdict(set)
        self._by_topic: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._all)

    def of_topic(self, topic: str) -> int:
        """How many of a topic's records are in flight."""
        return self._by_topic[topic]

    def begin(self, group: asyncio.TaskGroup, record: ConsumedRecord, process: Process) -> Task:
        """Run `process` for a record, in the task group, after any earlier task of the same offset has ended.

        There is one where the partition was revoked and returned: that task is closing its attempt, and a new attempt
        may not be opened before."""
        place = (TopicPartition(record.topic, record.partition), record.offset)
        # All of them: one that is cancelled while it waits ends before those it waits for.
        task = group.create_task(_after(frozenset(self._by_offset[place]), process))
        self._all.add(task)
        self._by_offset[place].add(task)
        self._by_topic[record.topic] += 1
        task.add_done_callback(partial(self._ended, place))
        return task

    def cancel(self, partition: TopicPartition) -> None:
        """Cancel the records of a partition, each once: a second cancellation would stop it from closing its
        attempt."""
        for (of, _), tasks in self._by_offset.items():
            if of == partition:
                _cancel(tasks)

    async def drain(self, within_s: float, *, close_s: float) -> int:
        """Wait for all to end, within so many seconds; then cancel the rest and wait `close_s` seconds for them to
        close their attempts. Returns how many were cancelled."""
        if self._all:
            await asyncio.wait(self._all, timeout=within_s)
        if late := set(self._all):
            _cancel(late)
            await asyncio.wait(late, timeout=close_s)
        return len(late)

    def _ended(self, place: tuple[TopicPartition, int], task: Task) -> None:
        self._all.discard(task)
        self._by_topic[place[0].topic] -= 1
        self._by_offset[place].discard(task)
        if not self._by_offset[place]:
            del self._by_offset[place]
        self._on_end()


async def _after(earlier: frozenset[Task], process: Process) -> None:
    if earlier:
        await asyncio.wait(earlier)
    await process()


def _cancel(tasks: set[Task]) -> None:
    for task in tasks:
        if not task.cancelling():
            task.cancel()
