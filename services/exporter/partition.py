"""One partition on its way to the disk: a lock, a manifest, the ids it holds, and the part that is open. No network."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import structlog

from services.contracts.codec import encode
from services.contracts.dead import DEAD_LETTER_HEADER, DeadLetter
from services.contracts.topics import dead_topic
from services.core.errors import Dead, Trouble
from services.core.messages import ConsumedRecord, OutgoingRecord
from services.exporter.disk import Disk
from services.exporter.lock import PartitionLock
from services.exporter.manifest import Dropped, Manifest, Part, load, lock_path, part_name, save, strays
from services.exporter.part import read_ids, write_part
from services.exporter.rows import Exported, Row, export

SERVICE = "exporter"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When a part is closed, and what stops the exporter."""

    rows: int = 5_000
    age_s: float = 60.0
    """Seconds from the first message of a part: so old is a dataset at most, beside what was not read yet."""
    buffer_bytes: int = 128 * 2**20
    """Of messages in all open parts; the largest is closed beyond it. Measured: a process needs 75 MB and, while it
    writes a part, up to five times that part's bytes."""
    dead: int = 100
    """More unreadable messages than this in one open part stop the exporter before any of them is passed: a deploy in
    the wrong order must not empty the topic."""


@dataclass
class _OpenPart:
    """What was taken since the manifest."""

    next_offset: int
    since: float | None = None
    """When the first message came."""
    rows: list[Row] = field(default_factory=list)
    dead: list[OutgoingRecord] = field(default_factory=list)
    dropped: Dropped = field(default_factory=Dropped)
    bytes: int = 0


class TooManyDead(Trouble):
    """The topic holds more unreadable messages than a few: nothing of the open part was passed."""


class Partition:
    """The one writer of a partition, from `open` to `release`. Times are seconds on any one clock.

    An OSError out of `seal` leaves it unusable, and the folder as it was: release it and open it anew.
    """

    def __init__(self, folder: Path, manifest: Manifest, lock: PartitionLock, disk: Disk, limits: Limits) -> None:
        self._folder = folder
        self._manifest = manifest
        self._lock = lock
        self._disk = disk
        self._limits = limits
        self._known: dict[bytes, int | None] = {}
        """Digest by record id, of all parts and the open one. Measured: 120 bytes a record."""
        self._open = _OpenPart(manifest.next_offset)

    @classmethod
    def open(
        cls, folder: Path, topic: str, partition: int, *, disk: Disk | None = None, limits: Limits | None = None
    ) -> Self | None:
        """Lock the partition, remove what a dead writer left, learn the ids of its parts; None where another process
        writes it. Raises BadFolder, OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        lock = PartitionLock.take(lock_path(folder, partition))
        if lock is None:
            return None
        try:
            disk = disk or Disk()
            opened = cls(folder, load(folder, topic, partition), lock, disk, limits or Limits())
            opened._clean()
            opened._learn()
        except BaseException:
            lock.release()
            raise
        return opened

    @property
    def manifest(self) -> Manifest:
        """What is on the disk."""
        return self._manifest

    @property
    def next_offset(self) -> int:
        """Where to read on: past the open part."""
        return self._open.next_offset

    @property
    def is_open(self) -> bool:
        """Whether anything was taken that the manifest doesn't account for yet."""
        return self._open.next_offset > self._manifest.next_offset

    @property
    def bytes(self) -> int:
        """Of the messages in the open part."""
        return self._open.bytes

    @property
    def dead_letters(self) -> Sequence[OutgoingRecord]:
        """What must be confirmed by Kafka before `seal`: the manifest then says that these have been dealt with."""
        return tuple(self._open.dead)

    def accept(self, received: ConsumedRecord, now: float) -> None:
        """Take a message into the open part; one before the position was taken already. Raises TooManyDead."""
        if received.offset < self._open.next_offset:
            return
        if received.offset > self._open.next_offset:
            self._skip_to(received.offset)
        if self._open.since is None:
            self._open.since = now
        self._open.next_offset = received.offset + 1
        self._open.bytes += len(received.value or b"")
        try:
            self._keep(export(received))
        except Dead as dead:
            self._bury(received, dead)

    def due(self, now: float) -> bool:
        """Whether the open part is to be sealed: by rows or by age."""
        if self._open.since is None:
            return False
        return len(self._open.rows) >= self._limits.rows or now - self._open.since >= self._limits.age_s

    def seal(self) -> Part | None:
        """Close the open part: its file first, then the manifest. Afterwards a kill loses and repeats nothing of it.

        Returns the part; None where nothing was kept (all repeats, or nothing came).
        """
        if not self.is_open:
            return None
        part = self._write() if self._open.rows else None
        manifest = Manifest(
            topic=self._manifest.topic,
            partition=self._manifest.partition,
            next_offset=self._open.next_offset,
            dropped=self._manifest.dropped + self._open.dropped,
            parts=(*self._manifest.parts, part) if part else self._manifest.parts,
        )
        save(self._disk, self._folder, manifest)
        self._manifest = manifest
        self._open = _OpenPart(self._open.next_offset)
        return part

    def release(self) -> None:
        """Let go of the partition; the open part is forgotten, and read again by whoever comes next."""
        self._lock.release()

    def _clean(self) -> None:
        for path in strays(self._folder, self._manifest):
            log.info("removing what a writer left that died", file=path.name)
            self._disk.remove(path)

    def _learn(self) -> None:
        for part in self._manifest.parts:
            self._known.update(read_ids(self._folder / part.name))

    def _skip_to(self, offset: int) -> None:
        log.warning(
            "offsets hold no message: deleted by retention before they were exported, or transaction markers",
            partition=self._manifest.partition,
            first=self._open.next_offset,
            last=offset - 1,
        )
        self._open.dropped += Dropped(absent=offset - self._open.next_offset)

    def _keep(self, exported: Exported) -> None:
        if exported.key not in self._known:
            self._known[exported.key] = exported.digest
            self._open.rows.append(exported.row)
            return
        digest = self._known[exported.key]
        if digest is None:
            self._open.dropped += Dropped(unchecked=1)
        elif digest == exported.digest:
            self._open.dropped += Dropped(equal=1)
        else:
            self._open.dropped += Dropped(differing=1)
            log.error("defect: a record came again and differs; the first is kept", record_id=exported.row["record_id"])

    def _bury(self, received: ConsumedRecord, dead: Dead) -> None:
        self._open.dead.append(_letter(received, dead))
        self._open.dropped += Dropped(dead=1)
        if len(self._open.dead) > self._limits.dead:
            where = f"{received.topic}/{received.partition} from offset {self._manifest.next_offset}"
            raise TooManyDead(
                f"more than {self._limits.dead} unreadable messages in {where}, the latest: {dead.error}; none was "
                "passed. Deploy the exporter that reads them, or let them pass with a larger REASONMED_EXPORT__DEAD"
            )

    def _write(self) -> Part:
        first, last = self._open.rows[0]["kafka_offset"], self._open.rows[-1]["kafka_offset"]
        name = part_name(self._manifest.partition, first)
        size = write_part(self._disk, self._folder / name, self._open.rows)
        return Part(name=name, first=first, last=last, rows=len(self._open.rows), bytes=size)


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
