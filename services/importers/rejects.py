"""Writes rejected rows to a file of JSON lines with the fields line, field, why and row."""

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
    """The file of rejected rows; created with the first row. Must be closed."""

    def __init__(self, path: Path, *, keep: int | None, on_row: Callable[[Rejected], None] = lambda row: None) -> None:
        """`keep`: bytes of an existing file to keep; None: all. `on_row` is called for each row."""
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
        """Write the rows taken so far; returns the size of the file in bytes."""
        if self._file is None:
            return 0
        self._file.flush()
        return self._file.tell()

    def close(self) -> None:
        """Write the rest, and close the file."""
        if self._file is not None:
            self._file.close()


def beside(file: File) -> Path:
    """The file with the rejected rows: beside the file, or in the working directory for a file in a bucket."""
    if isinstance(file, Path):
        return file.with_name(file.name + ENDING)
    return Path(re.sub(r"[^\w.-]+", "_", str(file)) + ENDING)


def _line(row: Rejected) -> bytes:
    reason = {"line": row.line, "field": row.field, "why": row.why}
    try:
        return orjson.dumps({**reason, "row": _plain(row.row)}, default=str, option=orjson.OPT_APPEND_NEWLINE)
    except (TypeError, RecursionError):  # invalid Unicode, or nested too deeply for JSON
        text = str(row.row).encode(errors="backslashreplace").decode()
        return orjson.dumps({**reason, "row": text}, option=orjson.OPT_APPEND_NEWLINE)


def _plain(row: Any) -> Any:
    """The JSON object in the bytes, or else their text."""
    if not isinstance(row, bytes):
        return row
    try:
        return orjson.loads(row)
    except orjson.JSONDecodeError:
        return row.decode(errors="backslashreplace")
