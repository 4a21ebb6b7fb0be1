"""The offset window of one partition under one assignment. Pure."""

from dataclasses import dataclass

from services.runtime.engine import offset_ranges


@dataclass(frozen=True)
class Committed:
    """What a group's commit of one partition holds."""

    offset: int
    """Of the next record to be read by the partition's next owner."""
    metadata: str = ""


class Window:
    """The offsets of a partition that were read and cannot be committed yet, and those finished above the commit.

    The commit rule: only the contiguous prefix of finished offsets is committed; those finished above it travel in the
    commit's metadata, so that they are not processed again (rule 1). Finished offsets keep no bytes.

    An offset that was never delivered (compaction, transaction markers, retention) is no gap: the commit goes past it.
    So a source must never skip an offset that exists. `KafkaSource` returns whatever it has taken from aiokafka;
    `FaustSource` reads again what Faust has skipped. The engine counts and logs each offset that is `absent`: our
    topics are neither compacted nor transactional, so there should be none.
    """

    def __init__(self, committed: Committed | None = None) -> None:
        """A window that continues from a group's commit; None for a partition that has no commit."""
        self._next = committed.offset if committed else None
        self._unfinished: set[int] = set()
        self._finished: set[int] = set()
        self._restored = set(offset_ranges.decode(committed.offset, committed.metadata)) if committed else set()
        self._sent = committed
        self._due: Committed | None = None

    def goes_back(self, offset: int) -> bool:
        """Whether `offset` lies below what was read or committed: the topic was truncated or created again, and this
        window's offsets name other records now. Begin another window then."""
        return self._next is not None and offset < self._next

    def absent(self, offset: int) -> int:
        """How many offsets between the last that was read or committed and this one were never delivered."""
        return max(0, offset - self._next) if self._next is not None else 0

    def read(self, offset: int) -> bool:
        """Note that the record was delivered. False: it was finished before a restart, skip it.

        Offsets come in ascending order; ValueError for one that `goes_back`.
        """
        if self.goes_back(offset):
            raise ValueError(f"offset {offset} read after {self._next}: the topic was created again")
        self._next = offset + 1
        if offset in self._restored:
            self._restored.discard(offset)
            self._finished.add(offset)
        else:
            self._unfinished.add(offset)
        self._shrink()
        return offset in self._unfinished

    def finish(self, offset: int) -> None:
        """Note that the record's output is confirmed. ValueError for an offset that is not in flight here."""
        if offset not in self._unfinished:
            raise ValueError(f"offset {offset} is not in flight")
        self._unfinished.discard(offset)
        self._finished.add(offset)
        self._shrink()

    @property
    def in_flight(self) -> bool:
        """Whether a record was read and has not finished."""
        return bool(self._unfinished)

    @property
    def size(self) -> int:
        """How many offsets were read and can't be committed yet, in this assignment."""
        return len(self._unfinished) + len(self._finished)

    def due(self) -> Committed | None:
        """The commit to send; None while nothing has changed since the last that was `sent`."""
        if self._next is None:
            return None
        if self._due is None:
            position = self._position(self._next)
            above = sorted(self._finished | {offset for offset in self._restored if offset >= position})
            self._due = Committed(position, offset_ranges.encode(position, above))
        return self._due if self._due != self._sent else None

    def sent(self, commit: Committed) -> None:
        """Note that the broker has accepted this commit."""
        self._sent = commit

    def _position(self, following: int) -> int:
        return min(self._unfinished, default=following)

    def _shrink(self) -> None:
        """Forget what the commit covers. Cheap while the lowest offset is in flight."""
        self._due = None
        if not self._unfinished:
            self._finished.clear()
        elif self._finished:
            position = min(self._unfinished)
            if min(self._finished) < position:
                self._finished = {offset for offset in self._finished if offset > position}
