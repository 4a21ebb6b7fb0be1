"""Finds question files in folders, at any depth; lists skipped files with the reason."""

import os
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from services.importers import positions, rejects
from services.importers.places import File, Remote
from services.importers.readers.shape import LINES, METADATA, NO_ROWS, PACKED, TABLES
from services.importers.submit import Stop

POLL_S: Final = 2.0
"""Seconds between two polls of a watched folder. A file that is the same in both counts as complete. One that grows
later is submitted again; known questions are processed once. Polls, since inotify misses files that another machine
writes to a shared folder."""

SUFFIXES: Final = (*LINES, *TABLES, ".json", ".parquet", ".arrow")
OURS: Final = (rejects.ENDING, positions.ENDING, positions.ENDING + ".new")
WORKBOOKS: Final = (".xlsx", ".xls", ".ods")

Identity = tuple[int, int]
"""Size in bytes, and modification time in nanoseconds."""


@dataclass(frozen=True)
class PassedOver:
    """A skipped file of a folder."""

    name: str
    why: str


@dataclass
class Found:
    """The files of a folder."""

    files: list[File] = field(default_factory=list)
    passed_over: list[PassedOver] = field(default_factory=list)


def walk(folder: File) -> Found:
    """The question files of a folder, sorted by path. Raises OSError."""
    found = Found()
    for file in _remote(folder, found) if isinstance(folder, Remote) else _local(folder, found):
        if file.name.endswith(OURS):
            continue
        if why := why_not(file.name):
            found.passed_over.append(PassedOver(str(file), why))
        else:
            found.files.append(file)
    return found


def why_not(name: str) -> str | None:
    """Why a file with this name is skipped; None if it is read."""
    lowered = name.lower()
    if lowered in METADATA:
        return NO_ROWS
    if lowered.endswith(WORKBOOKS):
        return "a workbook: save the sheet as CSV UTF-8"
    for packed in PACKED:
        lowered = lowered.removesuffix(packed)
    return None if lowered.endswith(SUFFIXES) else f"not one of {', '.join(SUFFIXES)}"


async def arrivals(folders: Collection[File], stop: Stop, *, poll_s: float = POLL_S) -> AsyncIterator[File]:
    """Each file once it is complete, and again if it changes after that; until `stop`."""
    before: dict[str, Identity] = {}
    taken: dict[str, Identity] = {}
    while not stop:
        files = {str(file): file for folder in folders for file in walk(folder).files}
        now = dict(_identities(files))
        for name in complete(before, now, taken):
            taken[name] = now[name]
            yield files[name]
        before = now
        await stop.within(poll_s)


def complete(before: Mapping[str, Identity], now: Mapping[str, Identity], taken: Mapping[str, Identity]) -> list[str]:
    """The files that have not changed between two polls, and were not submitted in this state."""
    return [name for name, identity in now.items() if before.get(name) == identity != taken.get(name)]


def _identities(files: Mapping[str, File]) -> Iterator[tuple[str, Identity]]:
    for name, file in files.items():
        try:
            state = file.stat()
        except FileNotFoundError:  # deleted in the meantime
            continue
        yield name, (state.st_size, state.st_mtime_ns)


def _local(folder: Path, found: Found) -> Iterator[Path]:
    for root, inner, names in os.walk(folder, onerror=_raise):
        inner.sort()
        for hidden in [name for name in inner if name.startswith(".")]:
            inner.remove(hidden)
            found.passed_over.append(PassedOver(str(Path(root, hidden)), "hidden"))
        for name in sorted(names):
            if name.startswith("."):
                found.passed_over.append(PassedOver(str(Path(root, name)), "hidden"))
            else:
                yield Path(root, name)


def _remote(folder: Remote, found: Found) -> Iterator[Remote]:
    for file in sorted(folder.walk(), key=str):
        if any(part.startswith(".") for part in file.path.split("/")):
            found.passed_over.append(PassedOver(str(file), "hidden"))
        else:
            yield file


def _raise(error: OSError) -> None:
    raise error
