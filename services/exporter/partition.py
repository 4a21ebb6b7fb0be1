"""The export of one partition: the open part, the known ids, and the position. Uses no network except the table's."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType

import orjson
import structlog

from services.contracts.base import VERSION, CallId
from services.contracts.codec import encode
from services.contracts.dead import DEAD_LETTER_HEADER, DeadLetter
from services.contracts.topics import dead_topic
from services.core.errors import Dead, Trouble
from services.core.messages import ConsumedRecord, OutgoingRecord, TopicPartition
from services.exporter.known import UNKNOWN, Known
from services.exporter.rows import Exported, Row, key_of
from services.exporter.table import Table

SERVICE = "exporter"
PART_BYTES = 16 * 2**20
"""Bytes of messages from which on a part is committed: writing one takes about six times as much memory."""
NO_THINKING: Mapping[CallId, str] = MappingProxyType({})

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Dropped:
    """Messages that add no row, by reason."""

    equal: int = 0
    """Equal repeats of a message in the dataset."""
    differing: int = 0
    """Differing repeats: a defect of the stream, logged."""
    unchecked: int = 0
    """Repeats of a message from an exporter of another contract version."""
    dead: int = 0
    """Malformed messages; of records, now in exporter-dead."""
    absent: int = 0
    """Offsets without a message: deleted by retention, or transaction markers."""

    def __add__(self, other: "Dropped") -> "Dropped":
        mine, others = asdict(self), asdict(other)
        return Dropped(**{name: mine[name] + others[name] for name in mine})


@dataclass(frozen=True)
class Part:
    """The content of one commit. Of records, rows and dropped offsets add up to the offsets that it covers."""

    rows: int
    dropped: Dropped
    next_offset: int


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When a part is committed, and what stops the exporter."""

    rows: int = 5_000
    age_s: float = 60.0
    """Seconds from the first message of a part to its commit."""
    buffer_bytes: int = 128 * 2**20
    """Bytes of messages in all open parts; beyond it the largest part is committed. Measured: a process needs 75 MB
    and, while it writes a part, up to five times that part's bytes."""
    dead: int = 100
    """The most malformed messages in one open part. With more the exporter stops before it skips any of them, so that a
    deploy in the wrong order does not skip the whole topic."""


@dataclass
class _OpenPart:
    """The messages since the last commit."""

    next_offset: int
    since: float | None = None
    """When the first message was read."""
    rows: list[Row] = field(default_factory=list)
    dead: list[OutgoingRecord] = field(default_factory=list)
    dropped: Dropped = field(default_factory=Dropped)
    bytes: int = 0


class TooManyDead(Trouble):
    """Too many malformed messages in the open part; none of it was committed."""


class Partition:
    """The writer of a partition. Of several writers the first to commit wins; the others get PartitionLost. Times are
    in seconds on any one clock."""

    def __init__(self, table: Table, topic: str, number: int, limits: Limits, next_offset: int) -> None:
        self._table = table
        self.topic = topic
        self.number = number
        self._limits = limits
        self.committed = next_offset
        """The next offset in the table."""
        self._known = Known()
        """The messages in committed parts and the open part, by layout.identity."""
        self._open = _OpenPart(next_offset)

    @classmethod
    def open(
        cls, table: Table, topic: str, number: int, *, first: int = 0, limits: Limits | None = None
    ) -> "Partition":
        """Resume from the table's position. `first` is the first offset that the topic still has: earlier records
        cannot be repeated, so their ids are not loaded. Raises DeltaError, OSError."""
        opened = cls(table, topic, number, limits or Limits(), table.next_offset(TopicPartition(topic, number)))
        for batch in table.ids(opened.key, first):
            identities, digests, contracts = (column.to_pylist() for column in batch.columns)
            same = (digest if by == VERSION else UNKNOWN for digest, by in zip(digests, contracts, strict=True))
            opened._known.load(map(key_of, identities), same)
        opened._known.loaded()
        return opened

    @property
    def key(self) -> TopicPartition:
        """Topic and number."""
        return TopicPartition(self.topic, self.number)

    @property
    def next_offset(self) -> int:
        """The offset to read next, after the open part."""
        return self._open.next_offset

    @property
    def is_open(self) -> bool:
        """Whether there are uncommitted messages."""
        return self._open.next_offset > self.committed

    @property
    def bytes(self) -> int:
        """The bytes of the messages in the open part, thinking included."""
        return self._open.bytes

    @property
    def dead_letters(self) -> Sequence[OutgoingRecord]:
        """Kafka must confirm these before `seal`, which commits past their messages."""
        return tuple(self._open.dead)

    def accept(self, received: ConsumedRecord, now: float, thinking: Mapping[CallId, str] = NO_THINKING) -> None:
        """Add a message to the open part, unless it is before the position. `thinking`: of the message's calls.
        Raises TooManyDead."""
        if received.offset < self._open.next_offset:
            return
        if received.offset > self._open.next_offset:
            self._skip_to(received.offset)
        if self._open.since is None:
            self._open.since = now
        self._open.next_offset = received.offset + 1
        self._open.bytes += len(received.value or b"") + sum(map(len, thinking.values()))
        try:
            self._keep(self._table.layout.export(received, thinking))
        except Dead as dead:
            self._bury(received, dead)

    def due(self, now: float) -> bool:
        """Whether to commit the open part: by rows, bytes or age."""
        if self._open.since is None:
            return False
        full = len(self._open.rows) >= self._limits.rows or self._open.bytes >= PART_BYTES
        return full or now - self._open.since >= self._limits.age_s

    def seal(self) -> Part | None:
        """Commit the open part with its position; None if nothing was read. After that, a kill neither loses nor
        repeats any of it. Raises PartitionLost; DeltaError, OSError: the part stays open."""
        if not self.is_open:
            return None
        part = Part(len(self._open.rows), self._open.dropped, self._open.next_offset)
        notes = {
            "reasonmed.topic": self.topic,
            "reasonmed.partition": str(self.number),
            "reasonmed.offsets": f"{self.committed}-{part.next_offset - 1}",
            "reasonmed.dropped": orjson.dumps(asdict(part.dropped)).decode(),
        }
        self._table.append(
            self._open.rows, self.key, expected=self.committed, next_offset=part.next_offset, notes=notes
        )
        self.committed = part.next_offset
        self._open = _OpenPart(part.next_offset)
        return part

    def _skip_to(self, offset: int) -> None:
        log.warning(
            "offsets without a message: deleted by retention before the export, or transaction markers",
            topic=self.topic,
            partition=self.number,
            first=self._open.next_offset,
            last=offset - 1,
        )
        self._open.dropped += Dropped(absent=offset - self._open.next_offset)

    def _keep(self, exported: Exported) -> None:
        known = self._known.get(exported.key)
        if known is None:
            self._known.add(exported.key, exported.digest)
            self._open.rows.extend(exported.rows)
        elif known == UNKNOWN:
            self._open.dropped += Dropped(unchecked=1)
        elif known == exported.digest:
            self._open.dropped += Dropped(equal=1)
        else:
            self._open.dropped += Dropped(differing=1)
            log.error("defect: a repeated message differs; the first is kept", identity=exported.identity)

    def _bury(self, received: ConsumedRecord, dead: Dead) -> None:
        if self._table.layout.letters:
            self._open.dead.append(_letter(received, dead))
        else:
            log.error("unreadable", position=str(received.position), error=dead.error)
        self._open.dropped += Dropped(dead=1)
        if self._open.dropped.dead > self._limits.dead:
            where = f"{received.topic}/{received.partition} from offset {self.committed}"
            raise TooManyDead(
                f"more than {self._limits.dead} unreadable messages in {where}, the latest: {dead.error}; none was "
                "skipped. Deploy the exporter that reads them, or skip them with a larger REASONMED_EXPORT__DEAD"
            )


def _letter(received: ConsumedRecord, dead: Dead) -> OutgoingRecord:
    reason = DeadLetter(
        service=SERVICE,
        kind=dead.kind,
        error=dead.error[:4_000],
        attempts=1,
        topic=received.topic,
        partition=received.partition,
        offset=received.offset,
    )
    return OutgoingRecord(
        topic=dead_topic(SERVICE),
        key=received.key or b"",
        value=received.value or b"",
        headers={**received.headers, DEAD_LETTER_HEADER: encode(reason)},
    )
