"""The manifest: which parts of a partition count, and where to go on. Also what files are called."""

from pathlib import Path
from typing import BinaryIO, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.core.errors import Trouble
from services.exporter.disk import Disk, write_whole


class BadFolder(Trouble):
    """The folder doesn't hold what its manifest says, or belongs to something else. Nothing was changed."""


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Part(_Kept):
    """A finished part."""

    name: str = Field(pattern=r"^part-\d{4,}-\d{12,}\.parquet$")
    first: int = Field(ge=0, description="Offset of its first record.")
    last: int = Field(ge=0, description="Offset of its last record.")
    rows: int = Field(ge=1)
    bytes: int = Field(ge=1, description="Size of the file.")


class Dropped(_Kept):
    """Offsets that became no row, by why. Since the first message of the partition."""

    equal: int = Field(default=0, ge=0, description="Repeats of a record that the parts held, equal to it.")
    differing: int = Field(default=0, ge=0, description="Repeats that differed: a defect of the stream, logged.")
    unchecked: int = Field(
        default=0, ge=0, description="Repeats of a record that an exporter of another contract version wrote."
    )
    dead: int = Field(default=0, ge=0, description="Unreadable messages, now in exporter-dead.")
    absent: int = Field(default=0, ge=0, description="Offsets with no message: deleted by retention, or markers.")

    def __add__(self, other: "Dropped") -> "Dropped":
        return Dropped(**{name: getattr(self, name) + getattr(other, name) for name in Dropped.model_fields})

    def __sub__(self, other: "Dropped") -> "Dropped":
        return Dropped(**{name: getattr(self, name) - getattr(other, name) for name in Dropped.model_fields})

    @property
    def total(self) -> int:
        """How many in all."""
        return self.equal + self.differing + self.unchecked + self.dead + self.absent


class Manifest(_Kept):
    """Everything below `next_offset` is in a part or counted as dropped; nothing at or above it is."""

    format: Literal[1] = Field(
        default=1, description="Of the manifest; another is refused, for positions aren't guessed."
    )
    topic: str
    partition: int = Field(ge=0)
    next_offset: int = Field(default=0, ge=0)
    dropped: Dropped = Dropped()
    parts: tuple[Part, ...] = ()

    @model_validator(mode="after")
    def _accounts_for_every_offset(self) -> Self:
        if sum(part.rows for part in self.parts) + self.dropped.total != self.next_offset:
            raise ValueError("rows and dropped messages don't add up to next_offset")
        return self


def load(folder: Path, topic: str, partition: int) -> Manifest:
    """The partition's manifest; an empty one where there is none.

    Raises BadFolder where it can't be read, is of another topic, or names a part that isn't there in full.
    """
    path = manifest_path(folder, partition)
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Manifest(topic=topic, partition=partition)
    except ValidationError as error:
        raise BadFolder(f"{path} is no manifest of this version: restore it, or export into a new folder") from error
    if (manifest.topic, manifest.partition) != (topic, partition):
        raise BadFolder(f"{path} is of {manifest.topic}/{manifest.partition}: export {topic} into a folder of its own")
    for part in manifest.parts:
        _check(folder / part.name, part)
    return manifest


def save(disk: Disk, folder: Path, manifest: Manifest) -> None:
    """Replace the partition's manifest, at once and for good."""
    data = manifest.model_dump_json().encode()
    write_whole(disk, manifest_path(folder, manifest.partition), lambda file: _write(file, data))


def manifest_path(folder: Path, partition: int) -> Path:
    """Where a partition's manifest is."""
    return folder / f"manifest-{partition:04}.json"


def lock_path(folder: Path, partition: int) -> Path:
    """What the partition's writer locks."""
    return folder / f"lock-{partition:04}"


def part_name(partition: int, first: int) -> str:
    """A part is called by its partition and the offset of its first record, so that names sort as offsets do."""
    return f"part-{partition:04}-{first:012}.parquet"


def strays(folder: Path, manifest: Manifest) -> list[Path]:
    """What a writer that died left of this partition: unfinished files, and parts that the manifest doesn't name."""
    named = {part.name for part in manifest.parts}
    number = f"{manifest.partition:04}"
    found = [*folder.glob(f"part-{number}-*"), *folder.glob(f"manifest-{number}.json.*")]
    return sorted(path for path in found if path.name not in named)


def _check(path: Path, part: Part) -> None:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise BadFolder(f"{path} is gone, which its manifest names: restore it, or export into a new folder") from None
    if size != part.bytes:
        raise BadFolder(f"{path} has {size} bytes, its manifest says {part.bytes}: restore it")


def _write(file: BinaryIO, data: bytes) -> None:
    file.write(data)
