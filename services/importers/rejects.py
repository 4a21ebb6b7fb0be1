"""Rejected rows, kept in a file: a JSON object a line, with line, field, why and row."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from services.importers.places import File
from services.importers.rows import Rejected

ENDING = ".rejected.jsonl"


class Rejects:
    """The file of rejected rows; it is created with the first of them. Close it in the end."""

    def __init__(self, path: Path, *, keep: int | None, on_row: Callable[[Rejected], None] = lambda row: None) -> None:
        """Of a file that is there already, `keep` bytes are kept; None: all. `on_row` is called with each row."""
        self.path = path
        self._on_row = on_row
        self._file: BinaryIO | None = None
        if keep == 0:
            path.unlink(missing_ok=True)
        elif path.exists():
            self._file = path.open("r+b")
            if keep is not None and keep < path.stat().st_size:
                self._file.truncate(keep)
            self._file.seek(0, os.SEEK_END)

    def take(self, row: Rejected) -> None:
        """One more."""
        self._on_row(row)
        if self._file is None:
            self._file = self.path.open("wb")
        self._file.write(_line(row))

    def flush(self) -> int:
        """Write what was taken; returns the file's size in bytes."""
        if self._file is None:
            return 0
        self._file.flush()
        return self._file.tell()

    def close(self) -> None:
        """The file is whole after this."""
        if self._file is not None:
            self._file.close()


def beside(file: File) -> Path:
    """Where the rejected rows of a file are kept: beside it, or, of one in a bucket, in the working directory."""
    if isinstance(file, Path):
        return file.with_name(file.name + ENDING)
    return Path(re.sub(r"[^\w.-]+", "_", str(file)) + ENDING)


def _line(row: Rejected) -> bytes:
    reason = {"line": row.line, "field": row.field, "why": row.why}
    try:
        return orjson.dumps({**reason, "row": _plain(row.row)}, default=str, option=orjson.OPT_APPEND_NEWLINE)
    except (TypeError, RecursionError):  # broken Unicode, or too deep: a row that JSON can't hold
        text = str(row.row).encode(errors="backslashreplace").decode()
        return orjson.dumps({**reason, "row": text}, option=orjson.OPT_APPEND_NEWLINE)


def _plain(row: Any) -> Any:
    """An object where the bytes are one, else their text."""
    if not isinstance(row, bytes):
        return row
    try:
        return orjson.loads(row)
    except orjson.JSONDecodeError:
        return row.decode(errors="backslashreplace")
