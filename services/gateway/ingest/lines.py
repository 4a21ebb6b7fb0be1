"""Bytes into lines, however they are cut up. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """A line that isn't blank."""

    number: int
    """From 1, blank ones counted too."""
    text: bytes | None
    """None: longer than lines may be; it was not kept."""


class Lines:
    """Holds no more than one line that isn't whole yet, of `limit` bytes at most."""

    def __init__(self, limit: int) -> None:
        self.number = 0
        """Lines so far."""
        self._limit = limit
        self._begun = bytearray()
        self._too_long = False

    def feed(self, chunk: bytes) -> list[Line]:
        """The lines that are whole with these bytes."""
        *whole, rest = chunk.split(b"\n")
        found = [line for part in whole for line in self._ended(part)]
        self._add(rest)
        return found

    def end(self) -> list[Line]:
        """The last line, where no newline ends it."""
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
