"""The steps on a file system that must survive a power cut, each a method of its own: a test fails them one by one."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

TEMPORARY = ".tmp"
"""The suffix of what isn't finished. Nobody reads such a file; the next start removes it."""


class Disk:
    """The real file system. Raises OSError (a full disk among them)."""

    def write(self, path: Path, fill: Callable[[BinaryIO], None]) -> None:
        """Write a file and have its content on the disk (fsync)."""
        with path.open("wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())

    def rename(self, source: Path, target: Path) -> None:
        """Give a file its name, at once for all readers; what had the name before is gone."""
        source.replace(target)

    def sync_folder(self, folder: Path) -> None:
        """Have the names in a folder on the disk: a rename is lost in a power cut before this."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        path.unlink()


def write_whole(disk: Disk, path: Path, fill: Callable[[BinaryIO], None]) -> None:
    """The file is there whole and for good, or (on an error, a kill, a power cut) as it was before."""
    temporary = path.with_name(path.name + TEMPORARY)
    disk.write(temporary, fill)
    disk.rename(temporary, path)
    disk.sync_folder(path.parent)
