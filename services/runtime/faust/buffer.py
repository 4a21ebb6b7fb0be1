"""The records that Faust has delivered of one partition. Pure.

Faust repeats and skips offsets around rebalances. Repeats are dropped here; what was skipped is a gap, which must be
read again from Kafka before anything behind it is taken.
"""

from collections import deque
from collections.abc import Sequence

from services.core.messages import ConsumedRecord


class Buffer:
    """One partition's records in one generation of the group, delivered and not taken yet, in the order of offsets."""

    def __init__(self) -> None:
        self._records: deque[ConsumedRecord] = deque()
        self._complete = 0
        self.next: int | None = None
        """The offset to be taken next; None until `begin`. Nothing is taken before."""

    def __len__(self) -> int:
        return len(self._records)

    def deliver(self, record: ConsumedRecord) -> None:
        """Add what Faust delivers; a repeat is dropped."""
        last = self._records[-1].offset if self._records else -1
        if record.offset > last and record.offset >= (self.next or 0):
            self._records.append(record)

    def begin(self, offset: int) -> None:
        """The group's commit, or the earliest offset, is known: begin there."""
        self.next = self._complete = offset
        while self._records and self._records[0].offset < offset:
            self._records.popleft()

    def gap(self) -> range | None:
        """The offsets that are missing before the first record; None where none are, or nothing has been delivered."""
        if self.next is None or not self._records:
            return None
        begin, end = max(self.next, self._complete), self._records[0].offset
        return range(begin, end) if begin < end else None

    def fill(self, gap: range, found: Sequence[ConsumedRecord]) -> None:
        """Put in what Kafka has in a gap, from its beginning on: perhaps not all of it. Nothing found: there is none
        (deleted by retention, or transaction markers)."""
        self._records.extendleft(reversed(found))
        self._complete = found[-1].offset + 1 if found else gap.stop

    def take(self, count: int) -> list[ConsumedRecord]:
        """Up to so many records, none of them behind a gap."""
        taken: list[ConsumedRecord] = []
        while self.next is not None and self._records and len(taken) < count and self.gap() is None:
            taken.append(self._records.popleft())
            self.next = taken[-1].offset + 1
        return taken
