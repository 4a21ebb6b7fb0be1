"""A model server's answer in a file: a whole HTTP response as curl -i writes it, or its body alone."""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

_STATUS = re.compile(rb"\AHTTP/[0-9.]{1,5} +([1-5][0-9][0-9])[^\r\n]*\r?\n?")
_BLANK = re.compile(rb"\r?\n\r?\n")

_LENGTH = re.compile(r"[0-9]{1,15}")

_INTERIM = 10
"""Responses before the one that counts, at most."""


@dataclass(frozen=True)
class Answer:
    """An HTTP response; of a body alone, as one of status 200."""

    data: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    broken: str = ""
    """Why the body isn't whole, if it isn't."""

    @property
    def size(self) -> int:
        """Bytes of the body as its header says, or as they are, whichever is more."""
        length = self.headers.get("content-length", "")
        return max(len(self.data), int(length) if _LENGTH.fullmatch(length) else 0)


def parse(raw: bytes, most: int) -> Answer:
    """Take a file's bytes apart. Interim responses (100, a proxy's) are passed over; chunks are joined, gzip and
    deflate unpacked, `most` bytes of them."""
    answer = _response(raw)
    for _ in range(_INTERIM):
        if answer.status >= 200 and _STATUS.match(answer.data) is None:
            break
        answer = _response(answer.data)
    answer = _joined(answer) if "chunked" in answer.headers.get("transfer-encoding", "").casefold() else _sized(answer)
    return _unpacked(answer, most)


def _response(raw: bytes) -> Answer:
    status = _STATUS.match(raw)
    if status is None:
        return Answer(raw)
    blank = _BLANK.search(raw, max(status.end() - 2, 0))
    head, data = (
        (raw[status.end() :], b"") if blank is None else (raw[status.end() : blank.start()], raw[blank.end() :])
    )
    pairs = (line.partition(b":") for line in head.splitlines())
    headers = {name.decode("latin-1").strip().casefold(): value.decode("latin-1").strip() for name, _, value in pairs}
    return Answer(data, int(status[1]), headers)


def _sized(answer: Answer) -> Answer:
    length = answer.headers.get("content-length", "")
    if not _LENGTH.fullmatch(length):
        return answer
    if len(answer.data) < int(length):
        return Answer(answer.data, answer.status, answer.headers, f"{len(answer.data)} of {length} bytes")
    rest = answer.data[int(length) :]
    return Answer(answer.data[: int(length)], answer.status, answer.headers) if not rest.strip() else answer


def _joined(answer: Answer) -> Answer:
    """The body without its chunks' sizes; as it is where there are none, since curl leaves the header behind."""
    data, at = bytearray(), 0
    while (line := answer.data.find(b"\n", at)) >= 0:
        size = answer.data[at:line].partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9a-fA-F]{1,8}", size):
            return answer if not data else Answer(bytes(data), answer.status, answer.headers, "chunks that break off")
        count = int(size, 16)
        if count == 0:
            return Answer(bytes(data), answer.status, answer.headers)
        data += answer.data[line + 1 : line + 1 + count]
        at = line + 1 + count
        at += len(answer.data[at : at + 2]) - len(answer.data[at : at + 2].lstrip(b"\r\n"))
    if not data:
        return answer
    return Answer(bytes(data), answer.status, answer.headers, "chunks that break off")


def _unpacked(answer: Answer, most: int) -> Answer:
    encoding = answer.headers.get("content-encoding", "").strip().casefold()
    windows = {"gzip": [31], "x-gzip": [31], "deflate": [15, -15]}.get(encoding, [])
    for window in windows:
        try:
            data = zlib.decompressobj(window).decompress(answer.data, most + 1)
        except zlib.error:
            continue
        return Answer(data, answer.status, answer.headers, answer.broken)
    broken = f"a body that is no {encoding}" if windows and not answer.broken else answer.broken
    return Answer(answer.data, answer.status, answer.headers, broken)
