"""Detects compression, encoding, container and delimiter of a file by its beginning, or else by its name."""

import codecs
import csv
import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Literal

from services.importers.places import Place, Stdin
from services.importers.readers.columnar import FILE_MAGIC, STREAM_MAGIC
from services.importers.readers.data import BOM, BROKEN, Packing, packing_of, unpacked
from services.importers.readers.documents import Document, find
from services.importers.rows import Refused

Container = Literal["jsonl", "json", "csv", "cells", "parquet", "arrow"]
"""JSON lines; other JSON; a table with or without a header; Parquet; Arrow."""

HEAD: Final = 128 * 1024
"""Bytes that are inspected: far more than the first line of any known data set."""
RECORDS: Final = 5
"""Records of a table that are inspected to find its delimiter."""
DELIMITERS: Final = (",", "\t", ";", "|")
TABLES: Final = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
METADATA: Final = frozenset({
    "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "config.json", "package.json",
})  # fmt: skip
"""Metadata files that `datasets` and other tools write."""
NO_ROWS: Final = "describes a dataset, and has no rows"
LINES: Final = (".jsonl", ".ndjson", ".jsonlines")
PACKED: Final = (".gz", ".bz2", ".zst", ".zstd", ".xz")

_FOREIGN: Final = {
    b"PK\x03\x04": "is a zip archive or an Excel workbook: unpack it, or save the sheet as CSV UTF-8",
    b"PK\x05\x06": "is an empty zip archive",
    b"\xd0\xcf\x11\xe0": "is an old Excel workbook: save the sheet as CSV UTF-8",
    b"7z\xbc\xaf": "is a 7z archive: unpack it",
    b"SQLite format 3": "is an SQLite database: export the table as CSV",
    b"\x80\x04": "is a Python pickle, which can run code: write it as JSON lines or Parquet",
    b"%PDF": "is a PDF",
}
_WESTERN: Final = re.compile(rb"(?<![\x80-\xff])[\x80-\xff]{1,2}(?![\x80-\xff])")
_NO_LETTER: Final = re.compile(rb"[\x81\x8d\x8f\x90\x9d\xfe\xff]")


@dataclass(frozen=True)
class Asked:
    """The user's options for a file."""

    container: Container | None = None
    encoding: str | None = None
    delimiter: str | None = None


@dataclass(frozen=True)
class Known:
    """The layouts' checks: whether a header, a record without header, or an object belongs to questions."""

    header: Callable[[Sequence[str]], bool]
    cells: Callable[[Sequence[str]], bool]
    row: Callable[[Any], bool]
    question: Callable[[str], bool]
    """Whether a field of this name has the text of a question."""


@dataclass(frozen=True)
class Shape:
    """The physical format of a file."""

    container: Container
    packing: Packing | None = None
    encoding: str = "utf-8"
    returns: bool = False
    """Whether lines end with a carriage return alone."""
    delimiter: str = ","
    skip: int = 0
    """Lines before the header."""
    padded: bool = False
    """Whether white space follows the delimiter."""
    first: tuple[str, ...] = ()
    """The first record of a table."""
    stream: bool = False
    """Whether Arrow data is a stream, not a file."""
    document: Document = field(default_factory=lambda: Document("rows"))
    notice: str | None = None
    """A notice for the user about a choice."""


def shape_of(file: Place, asked: Asked, known: Known) -> Shape:
    """Detect the format of a file. Raises Refused, OSError."""
    if file.name.lower() in METADATA:
        raise Refused(NO_ROWS)
    raw = _raw(file)
    for magic, why in _FOREIGN.items():
        if raw.startswith(magic):
            raise Refused(why)
    packing = packing_of(raw)
    if packing is None and file.name.lower().endswith(PACKED):
        raise Refused(f"cannot be decompressed: the content does not match the suffix of {file.name}")
    head = _unpacked_head(file, packing) if packing else raw
    if head.startswith(b"PAR1") or asked.container == "parquet":
        if packing:
            raise Refused("Parquet has its own compression: decompress the file")
        return Shape("parquet")
    if head.startswith((FILE_MAGIC, STREAM_MAGIC)):
        return Shape("arrow", packing, stream=head.startswith(STREAM_MAGIC))
    encoding, notice = _encoding(head, asked.encoding)
    text = _decoded(head, encoding)
    returns = "\r" in text and "\n" not in text
    if returns:
        text = text.replace("\r", "\n")
    base = Shape("jsonl", packing, encoding, returns, notice=notice)
    return _textual(base, text, _suffix(file.name), asked, known)


def _textual(base: Shape, text: str, suffix: str, asked: Asked, known: Known) -> Shape:
    container = asked.container
    if container in ("csv", "cells") or (container is None and suffix in TABLES):
        return _table(base, text, TABLES.get(suffix, ","), asked, known)
    start = text.lstrip()
    if container in (None, "jsonl", "json") and start[:1] in ("{", "["):
        if container != "json" and _is_lines(start, named=suffix in LINES):
            return base
        return _with(base, container="json", document=find(start.encode(errors="replace"), known.row, known.question))
    if container == "jsonl" or suffix in LINES or not start:
        return base
    if container is None and suffix in ("", ".txt", ".data", ".dat") and (shape := _plain(base, text, known)):
        return shape
    raise Refused(
        "is not recognised as JSON lines, CSV, Parquet, other JSON or Arrow, by its name or its beginning: say which "
        "with --format"
    )


def _raw(file: Place) -> bytes:
    if isinstance(file, Stdin):
        return file.head(HEAD)
    with file.open("rb") as raw:
        return bytes(raw.read(HEAD))


def _unpacked_head(file: Place, packing: Packing) -> bytes:
    try:
        with file.open("rb") as raw, unpacked(raw, packing) as data:
            return data.read(HEAD)
    except BROKEN as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise Refused(f"cannot be decompressed: {error}") from error


def _suffix(name: str) -> str:
    lowered = name.lower()
    for packed in PACKED:
        lowered = lowered.removesuffix(packed)
    return "." + lowered.rpartition(".")[2] if "." in lowered else ""


def _with(shape: Shape, **changes: Any) -> Shape:
    return Shape(**{**shape.__dict__, **changes})


def _encoding(head: bytes, asked: str | None) -> tuple[str, str | None]:
    """The encoding, and a notice about it. Raises Refused."""
    if asked:
        return codecs.lookup(asked).name, None
    if head.startswith(BOM):
        return "utf-8", None
    for bom, encoding in (
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if head.startswith(bom):
            return encoding, None
    if b"\0" in head[:200]:
        even, odd = head[0:200:2].count(0), head[1:200:2].count(0)
        if max(even, odd) > 10 * (min(even, odd) + 1) or max(even, odd) > len(head[:200]) // 3:
            return ("utf-16-le" if odd > even else "utf-16-be"), None
    if _is_utf8(head):
        return "utf-8", None
    return _no_utf8(head)


def _is_utf8(head: bytes) -> bool:
    """Whether it is UTF-8, perhaps with a broken row: text of other encodings has more invalid than valid sequences."""
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(head)
    broken = text.count("\ufffd")
    return not broken or len(re.findall(r"[^\x00-\x7f\ufffd]", text)) > 10 * broken


def _no_utf8(head: bytes) -> tuple[str, str | None]:
    """Windows-1252, a superset of Latin-1, if non-ASCII letters are single ones within words; otherwise the rows that
    are not UTF-8, or the file, are refused."""
    if sum(len(one) for one in _WESTERN.findall(head)) < sum(byte > 127 for byte in head):
        raise Refused("is not UTF-8: set the encoding, as in --encoding gb18030")
    if _NO_LETTER.search(head):
        return "utf-8", None
    return "cp1252", "read as Windows-1252, which includes Latin-1: if that is wrong, set --encoding"


def _decoded(head: bytes, encoding: str) -> str:
    return codecs.getincrementaldecoder(encoding)("replace").decode(head).removeprefix("\ufeff")


def _is_lines(text: str, *, named: bool) -> bool:
    """Whether text that begins with an object or list is JSON lines: its first line is a complete or broken row."""
    line, _, rest = text.partition("\n")
    line, rest = line.strip(), rest.strip()
    try:
        first = json.loads(line.rstrip(","))
    except json.JSONDecodeError as error:
        if not rest and len(text) > HEAD // 2:  # one long line
            return named and text.startswith("{")
        return error.pos < len(line.rstrip(",")) - 1 and not _is_open(error, line)
    except RecursionError:
        return True
    if not isinstance(first, dict):
        return bool(rest)
    if rest:
        return rest.startswith(("{", "[")) or named
    return bool(first) and not all(isinstance(value, dict) for value in first.values()) and named


def _is_open(error: json.JSONDecodeError, line: str) -> bool:
    return error.msg.startswith("Expecting") and not line[error.pos :].strip()


def _table(base: Shape, text: str, usual: str, asked: Asked, known: Known) -> Shape:
    """The delimiter of a table, and whether it has a header."""
    skip = 0
    delimiters: tuple[str, ...] = (usual, *(one for one in DELIMITERS if one != usual))
    if asked.delimiter:
        delimiters = (asked.delimiter,)
    elif found := re.match(r"\ufeff?\"?sep=(.)\"?\r?\n", text, re.IGNORECASE):
        delimiters, skip, text = (found[1],), 1, text[found.end() :]
    firsts = {one: _first(text, one) for one in delimiters}
    shapes = [
        (_with(base, container="csv", delimiter=one, skip=skip, padded=_padded(text, one), first=tuple(first)), first)
        for one, first in firsts.items()
    ]
    if asked.container != "cells":
        for shape, cells in shapes:
            if known.header(cells):
                return shape
    if asked.container != "csv":
        for shape, cells in shapes:
            if known.cells(cells):
                return _with(shape, container="cells", padded=False)
    return _with(max(shapes, key=lambda pair: len(pair[1]))[0], container=asked.container or "csv")


def _first(text: str, delimiter: str) -> list[str]:
    """The first record that is not blank."""
    with suppress(csv.Error, StopIteration):
        records = csv.reader(islice(text.splitlines(keepends=True), 200), delimiter=delimiter, skipinitialspace=True)
        return [cell.strip() for cell in next(record for record in records if any(record))]
    return []


def _padded(text: str, delimiter: str) -> bool:
    line = next((line for line in text.splitlines() if line.strip()), "")
    return delimiter != "\t" and line.count(delimiter) > 0 and line.count(delimiter) == line.count(delimiter + " ")


def _plain(base: Shape, text: str, known: Known) -> Shape | None:
    """A table without a table's suffix: only if its header or first record belongs to questions."""
    shape = _table(base, text, ",", Asked(), known)
    cells = _first(text, shape.delimiter)
    return shape if known.header(cells) or known.cells(cells) else None
