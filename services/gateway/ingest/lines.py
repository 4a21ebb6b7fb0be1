"""Splits chunks of bytes into lines. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """A non-blank line."""

    number: int
    """The line number from 1, including blank lines."""
    text: bytes | None
    """None: the line was too long, and is discarded."""


class Lines:
    """Buffers at most one incomplete line of up to `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self.number = 0
        """Lines so far."""
        self._limit = limit
        self._begun = bytearray()
        self._too_long = False

    def feed(self, chunk: bytes) -> list[Line]:
        """The lines that these bytes complete."""
        *whole, rest = chunk.split(b"\n")
        found = [line for part in whole for line in self._ended(part)]
        self._add(rest)
        return found

    def end(self) -> list[Line]:
        """The last line, if it has no newline."""
        return list(self._ended(b"")) if self._begun or self._too_long else []

    def _ended(self, part: bytes) -> Iterator[Line]:
        self._add(part)
        text = None if self._too_long else bytes(self._begun).removesuffix(b"\r")
        self._begun.clear()
        self._too_long = False
        self.number += 1
        if text is None or text.strip():
            yield Line(self.number, text)

    def _add(self, part: bytes) -> None:
        self._too_long = self._too_long or len(self._begun) + len(part) > self._limit
        if self._too_long:
            self._begun.clear()
        else:
            self._begun += part
