"""The position up to which a file is submitted, saved beside it so that an interrupted run resumes.

It only saves time: a question that is submitted twice has the same id and is processed once. So a position of another
cluster, file or format is ignored, and the file is read from its beginning.
"""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from services.importers.places import File

ENDING = ".submitted.json"


class Position(BaseModel):
    """Every row up to `line` is in Kafka or rejected."""

    model_config = ConfigDict(frozen=True)

    cluster: str
    """Kafka's cluster id: a position is valid for one cluster."""
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
    """The file with the position of a file."""
    return file.with_name(file.name + ENDING)


def begin(file: File, *, cluster: str, asked: str) -> Position:
    """The saved position if it is valid, else the beginning. Raises OSError."""
    now = file.stat()
    fresh = Position(cluster=cluster, asked=asked, size=now.st_size, mtime_ns=now.st_mtime_ns)
    try:
        kept = Position.model_validate_json(beside(file).read_bytes())
    except (OSError, ValidationError):
        return fresh
    same = {"line", "done", "submitted", "rejected", "rejected_bytes"}
    return kept if kept.model_dump(exclude=same) == fresh.model_dump(exclude=same) else fresh


def keep(file: File, position: Position) -> None:
    """Save the position atomically. Raises OSError."""
    path = beside(file)
    if not isinstance(path, Path):  # writes of bucket objects are atomic
        with path.open("wb") as data:
            data.write(position.model_dump_json().encode() + b"\n")
        return
    new = path.with_name(path.name + ".new")
    new.write_text(position.model_dump_json() + "\n")
    os.replace(new, path)
