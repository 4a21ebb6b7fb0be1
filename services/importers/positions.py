"""How far a file has been submitted: kept beside it, so that an interrupted run resumes there.

It only saves time. A question has the same id each time, so that what is submitted twice is worked on once; hence a
position of another cluster, file or way of reading counts for nothing, and the file is read from its beginning.
"""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from services.importers.places import File

ENDING = ".submitted.json"


class Position(BaseModel):
    """How far a file has been read: every row up to `line` is in Kafka or among the rejected."""

    model_config = ConfigDict(frozen=True)

    cluster: str
    """Kafka's own id of the cluster: a position is of one cluster."""
    asked: str
    """How the file is read: format, columns, recipe."""
    size: int
    mtime_ns: int
    line: int = 0
    done: bool = False
    submitted: int = 0
    rejected: int = 0
    rejected_bytes: int = 0
    """The size of the file of rejected rows."""


def beside(file: File) -> File:
    """Where the position of a file is kept."""
    return file.with_name(file.name + ENDING)


def begin(file: File, *, cluster: str, asked: str) -> Position:
    """The file's position: what is kept, if it fits; else its beginning. Raises OSError."""
    now = file.stat()
    fresh = Position(cluster=cluster, asked=asked, size=now.st_size, mtime_ns=now.st_mtime_ns)
    try:
        kept = Position.model_validate_json(beside(file).read_bytes())
    except (OSError, ValidationError):
        return fresh
    same = {"line", "done", "submitted", "rejected", "rejected_bytes"}
    return kept if kept.model_dump(exclude=same) == fresh.model_dump(exclude=same) else fresh


def keep(file: File, position: Position) -> None:
    """Write it, whole or not at all. Raises OSError."""
    path = beside(file)
    if not isinstance(path, Path):  # an object of a bucket is written whole
        with path.open("wb") as data:
            data.write(position.model_dump_json().encode() + b"\n")
        return
    new = path.with_name(path.name + ".new")
    new.write_text(position.model_dump_json() + "\n")
    os.replace(new, path)
