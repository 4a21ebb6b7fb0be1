"""Files as they arrive in folders."""

from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path

from services.importers import positions, rejects
from services.importers.submit import Stop

LOOK_S = 2.0
"""Seconds between two looks. A file that is the same in both counts as complete; one that is written on later, after a
longer pause, is taken again, and nothing comes of what was in already. Looks rather than inotify: that doesn't hear of
what another machine writes to a shared folder."""

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".parquet")
OURS = (rejects.ENDING, positions.ENDING)

Identity = tuple[int, int]
"""Size in bytes, and time of the last change in nanoseconds."""


def files_in(folder: Path) -> list[Path]:
    """A folder's question files, by name; not our own files, nor hidden ones. Raises OSError."""
    return sorted(file for file in folder.iterdir() if _is_questions(file.name) and file.is_file())


async def arrivals(folders: Collection[Path], stop: Stop, *, look_s: float = LOOK_S) -> AsyncIterator[Path]:
    """Each file once it is complete, and again if it changes after that; until the end is wanted."""
    before: dict[Path, Identity] = {}
    taken: dict[Path, Identity] = {}
    while not stop:
        now = dict(_looked(folders))
        for file in complete(before, now, taken):
            taken[file] = now[file]
            yield file
        before = now
        await stop.within(look_s)


def complete(before: dict[Path, Identity], now: dict[Path, Identity], taken: dict[Path, Identity]) -> list[Path]:
    """The files that are as they were, and haven't been taken as they are."""
    return [file for file, identity in now.items() if before.get(file) == identity != taken.get(file)]


def _looked(folders: Collection[Path]) -> Iterator[tuple[Path, Identity]]:
    for folder in folders:
        for file in files_in(folder):
            try:
                state = file.stat()
            except FileNotFoundError:  # gone since
                continue
            yield file, (state.st_size, state.st_mtime_ns)


def _is_questions(name: str) -> bool:
    return name.removesuffix(".gz").endswith(SUFFIXES) and not name.startswith(".") and not name.endswith(OURS)
