"""Where files are: on disk, in a bucket (s3://, gs://), or on standard input."""

import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

SCHEMES = ("s3://", "gs://", "gcs://")


@dataclass(frozen=True)
class State:
    """The fields of os.stat that are used."""

    st_size: int
    st_mtime_ns: int


@dataclass(frozen=True)
class Remote:
    """A file or folder in a bucket. Credentials come from the environment, as for the cloud's own tools."""

    uri: str
    filesystem: Any
    """A pyarrow.fs.FileSystem."""
    path: str

    def __str__(self) -> str:
        return self.uri

    @property
    def name(self) -> str:
        """The name without the folder."""
        return PurePosixPath(self.path).name

    def open(self, mode: str = "rb") -> IO[bytes]:
        """Open for bytes. Raises OSError."""
        if mode == "rb":
            return cast(IO[bytes], io.BufferedReader(self.filesystem.open_input_file(self.path)))
        return cast(IO[bytes], self.filesystem.open_output_stream(self.path))

    def stat(self) -> State:
        """Raises FileNotFoundError, OSError."""
        info = self.filesystem.get_file_info(self.path)
        if info.type.name == "NotFound":
            raise FileNotFoundError(2, "No such file or folder", self.uri)
        return State(info.size or 0, info.mtime_ns or 0)

    def is_dir(self) -> bool:
        """Whether it is a folder."""
        return bool(self.filesystem.get_file_info(self.path).type.name == "Directory")

    def read_bytes(self) -> bytes:
        """The whole content. Raises OSError."""
        with self.open() as data:
            return data.read()

    def with_name(self, name: str) -> "Remote":
        """Another file of the same folder."""
        folder = self.uri[: len(self.uri) - len(self.name)]
        return Remote(folder + name, self.filesystem, str(PurePosixPath(self.path).with_name(name)))

    def walk(self) -> Iterator["Remote"]:
        """The files within, at any depth. Raises OSError."""
        from pyarrow import fs  # only for addresses

        base = self.uri.rstrip("/")
        for info in self.filesystem.get_file_info(fs.FileSelector(self.path, recursive=True)):
            if info.is_file:
                inner = info.path[len(self.path.rstrip("/")) :]
                yield Remote(base + inner, self.filesystem, info.path)


File = Path | Remote


def place(name: str) -> File:
    """The file or folder of this name or address. Raises OSError."""
    if not name.startswith(SCHEMES):
        return Path(name)
    from pyarrow import ArrowException, fs  # only for addresses

    try:
        filesystem, path = fs.FileSystem.from_uri(name)
    except (ArrowException, ValueError) as error:
        raise OSError(f"{name}: {error}") from error
    return Remote(name, filesystem, path)


class Stdin:
    """Standard input: its head can be inspected, then it can be read once."""

    name = "-"

    def __init__(self) -> None:
        self._raw = sys.stdin.buffer
        self._head = b""

    def head(self, size: int) -> bytes:
        """The first `size` bytes, or all if there are fewer."""
        if not self._head:
            self._head = self._raw.read(size)
        return self._head

    def open(self, mode: str = "rb") -> IO[bytes]:
        """Open all of it, once."""
        return cast(IO[bytes], io.BufferedReader(_Joined(self._head, self._raw)))

    def stat(self) -> State:
        """Size and time are unknown."""
        return State(0, 0)


Place = Path | Remote | Stdin
"""A file that is read from its beginning."""


class _Joined(io.RawIOBase):
    """The bytes that were already read, followed by the rest."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = memoryview(head)
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._head:
            count = min(len(buffer), len(self._head))
            buffer[:count] = self._head[:count]
            self._head = self._head[count:]
            return count
        data = self._rest.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
