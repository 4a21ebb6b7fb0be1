"""The bytes of a file: decompressed, as UTF-8, line by line, in bounded memory."""

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, Final, Literal, assert_never, cast

import ijson
import pyarrow as pa

from services.core.case.sizes import QUESTION_BYTES
from services.importers.rows import Row, Unfit

Packing = Literal["gz", "bz2", "zst", "xz"]

MAGIC: Final[dict[Packing, bytes]] = {
    "gz": b"\x1f\x8b",
    "bz2": b"BZh",
    "zst": b"\x28\xb5\x2f\xfd",
    "xz": b"\xfd7zXZ\x00",
}
BOM: Final = b"\xef\xbb\xbf"
LINE: Final = QUESTION_BYTES + 2
"""The bytes from which a line, with its end, is too long."""
CHUNK: Final = 65_536
BROKEN: Final = (
    EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, ijson.JSONError, pa.ArrowException, OSError, ValueError,
)  # fmt: skip
"""Errors of reading a truncated file."""


def packing_of(head: bytes) -> Packing | None:
    """The compression of a file that begins with these bytes."""
    return next((packing for packing, magic in MAGIC.items() if head.startswith(magic)), None)


@contextmanager
def unpacked(raw: IO[bytes], packing: Packing | None) -> Iterator[IO[bytes]]:
    """The decompressed bytes."""
    match packing:
        case None:
            yield raw
        case "gz":
            with gzip.open(raw, "rb") as data:
                yield cast(IO[bytes], data)
        case "bz2":
            with bz2.open(raw, "rb") as data:
                yield cast(IO[bytes], data)
        case "xz":
            with lzma.open(raw, "rb") as data:
                yield cast(IO[bytes], data)
        case "zst":
            with pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd") as stream:
                yield cast(IO[bytes], io.BufferedReader(_Stream(stream)))
        case _:
            assert_never(packing)


class _Stream(io.RawIOBase):
    """An Arrow stream as a Python raw stream."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Recoded(io.RawIOBase):
    """Converts another encoding, or other line ends, to UTF-8. Undecodable bytes become invalid UTF-8, so that their
    row is rejected, and no row loses a character."""

    def __init__(self, data: IO[bytes], encoding: str, *, returns: bool) -> None:
        self._data = data
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._returns = returns
        self._left = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left and not self._ended:
            self._left = memoryview(self._next())
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def _next(self) -> bytes:
        chunk = self._data.read(CHUNK)
        self._ended = not chunk
        text = self._decoder.decode(chunk, final=not chunk)
        if self._returns:
            text = text.replace("\r", "\n")
        return text.encode(errors="surrogateescape").replace(b"\xef\xbf\xbd", b"\xff")


def as_utf8(data: IO[bytes], encoding: str, *, returns: bool = False) -> IO[bytes]:
    """The text in UTF-8. `returns`: lines end with a carriage return alone."""
    if encoding == "utf-8" and not returns:
        return data
    return cast(IO[bytes], io.BufferedReader(_Recoded(data, encoding, returns=returns), CHUNK))


class Lines:
    """A file's lines with their ends. A line that is too long raises Unfit; iteration can continue."""

    def __init__(self, data: IO[bytes]) -> None:
        self.number = 0
        """The number of the last line."""
        self._data = data

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not (line := self._data.readline(LINE)):
            raise StopIteration
        self.number += 1
        if len(line) == LINE:
            while line and not line.endswith(b"\n"):
                line = self._data.readline(LINE)
            raise Unfit("row", f"the line is longer than {QUESTION_BYTES:,} bytes, the limit of a question")
        return line.removeprefix(BOM) if self.number == 1 else line


def whole(rows: Callable[[], Iterator[Row]]) -> Iterator[Row]:
    """The same rows; a truncated file adds a last row with the error."""
    line = 0
    try:
        for row in rows():
            assert isinstance(row.line, int)
            line = row.line
            yield row
    except BROKEN as error:
        yield Row(line + 1, Unfit("file", f"cannot be read beyond this point: {' '.join(str(error).split())[:200]}"))
