"""Replaces NaN and Infinity, which Python writes and JSON does not allow, by null."""

import io
import re
from typing import Any, Final

CHUNK: Final = 65_536
_OUTSIDE: Final = re.compile(rb'"|NaN|-?Infinity')
_INSIDE: Final = re.compile(rb'["\\]')
_TAIL: Final = len(b"-Infinity")


class Finite(io.RawIOBase):
    """The bytes of another file, changed only outside of strings."""

    def __init__(self, data: Any) -> None:
        self._data = data
        self._left = b""
        """Bytes that were read and not scanned yet."""
        self._ready = b""
        self._inside = False
        self._ended = False

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As io.RawIOBase says."""
        while not self._ready and not self._ended:
            chunk = self._data.read(CHUNK)
            self._ended = not chunk
            self._ready = self._changed(self._left + chunk)
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _changed(self, data: bytes) -> bytes:
        parts, at = [], 0
        end = len(data) if self._ended else max(0, len(data) - _TAIL)
        while at < end:
            found = (_INSIDE if self._inside else _OUTSIDE).search(data, at)
            if found is None or found.start() >= end:
                parts.append(data[at:end])
                at = end
                break
            parts.append(data[at : found.start()])
            at = self._token(found[0], data, found.end(), parts)
        self._left = data[at:]
        return b"".join(parts)

    def _token(self, token: bytes, data: bytes, after: int, parts: list[bytes]) -> int:
        """Handle one token; returns the start of the next."""
        if token == b'"':
            self._inside = not self._inside
            parts.append(token)
        elif token == b"\\":
            parts.append(data[after - 1 : after + 1])
            return after + 1
        else:
            parts.append(b"null")
        return after
