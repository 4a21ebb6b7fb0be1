"""The file format of an evaluation index. Deterministic: the same questions in the same order give the same bytes.

MAGIC, the version, the SHA-256 of all that follows, the lengths of the parts, and the parts: the entries as packed
JSON [file, id, text], then digests, stems, wholes, hashes and owners as little-endian numbers.
"""

import hashlib
import struct
import zlib
from pathlib import Path
from typing import Final

import numpy as np

from services.contracts.codec import Malformed, canonical, loads
from services.core.dedupe.evaluation_index import Entry, EvaluationIndex
from services.core.errors import BadIndex

MAGIC: Final = b"reasonmed evaluation index\n"
VERSION: Final = 2
"""Increased whenever words, runs or hashes change, since an older index would then miss questions. 2: text without
markup and invisible characters, numbers with their signs."""

_HEAD: Final = struct.Struct("<H32s")
_LENGTHS: Final = struct.Struct("<3Q")
"""Bytes of the packed entries, entries, runs."""


def dump(index: EvaluationIndex) -> bytes:
    """Its bytes."""
    packed = zlib.compress(canonical([[entry.file, entry.id, entry.text] for entry in index.entries]), 9)
    body = _LENGTHS.pack(len(packed), len(index.entries), len(index.hashes)) + packed
    for array, kind in _arrays(index):
        body += array.astype(kind).tobytes()
    return MAGIC + _HEAD.pack(VERSION, hashlib.sha256(body).digest()) + body


def read(path: Path) -> EvaluationIndex:
    """The index in a file. Raises BadIndex, which names it."""
    try:
        return load(path.read_bytes())
    except OSError as error:
        raise BadIndex(f"evaluation index {path} can't be read: {error.strerror}") from error
    except BadIndex as error:
        raise BadIndex(f"evaluation index {path} {error}") from error


def load(data: bytes) -> EvaluationIndex:
    """What `dump` wrote. Raises BadIndex."""
    if not data.startswith(MAGIC):
        raise BadIndex("is not an evaluation index: make one with `reasonmed index FILE… --out evaluation.index`")
    if len(data) < len(MAGIC) + _HEAD.size:
        raise BadIndex("is cut off: make it again with `reasonmed index`")
    version, digest = _HEAD.unpack_from(data, len(MAGIC))
    if version != VERSION:
        raise BadIndex(f"has version {version}, this code reads {VERSION}: rebuild it with `reasonmed index`")
    body = data[len(MAGIC) + _HEAD.size :]
    if hashlib.sha256(body).digest() != digest:
        raise BadIndex("is damaged or cut off (its checksum is wrong): make it again with `reasonmed index`")
    try:
        return _read(body)
    except (struct.error, zlib.error, Malformed, ValueError, TypeError) as error:
        raise BadIndex(f"was not written by `reasonmed index`: {error}") from error


def _read(body: bytes) -> EvaluationIndex:
    packed, entries, runs = _LENGTHS.unpack_from(body)
    at = _LENGTHS.size
    listed = loads(zlib.decompress(body[at : at + packed]))
    parts, at = [], at + packed
    for kind, count in zip(_KINDS, (entries, entries, entries, runs, runs), strict=True):
        parts.append(np.frombuffer(body, dtype=kind, count=count, offset=at).copy())  # aligned: quick to search
        at += parts[-1].nbytes
    if at != len(body) or len(listed) != entries:
        raise ValueError("its parts are inconsistent")
    return EvaluationIndex(tuple(Entry(*entry) for entry in listed), *parts)


_KINDS: Final = ("<u8", "<u4", "<u4", "<u8", "<u4")


def _arrays(index: EvaluationIndex) -> "zip[tuple[np.ndarray, str]]":
    return zip((index.digests, index.stems, index.wholes, index.hashes, index.owners), _KINDS, strict=True)
