"""Locks a folder for the duration of a run."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path

LOCK = "lock"


class FolderInUse(Exception):
    """Another run uses the folder. The text has the remedy."""


@contextmanager
def claimed(folder: Path) -> Iterator[Path]:
    """Lock the folder until the block (or this process) ends. Raises FolderInUse."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUse(f"{folder} is in use by another run: stop it, or use another --folder") from None
        yield folder.absolute()


@contextmanager
def first_free(folder: Path) -> Iterator[Path]:
    """Lock the folder, or FOLDER-2, FOLDER-3, … if other runs use it, until the block ends."""
    with ExitStack() as ends:
        yield _claim_first(folder, ends)


def _claim_first(folder: Path, ends: ExitStack) -> Path:
    for number in count(1):
        candidate = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        with suppress(FolderInUse):
            return ends.enter_context(claimed(candidate))
    raise AssertionError("unreachable")


def emptied(folder: Path) -> Path:
    """Delete an earlier run from the folder, except its lock; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for item in folder.iterdir():
        if item.is_dir():
            shutil.rmtree(item)
        elif item.name != LOCK:
            item.unlink()
    return folder
