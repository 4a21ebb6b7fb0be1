"""Finished offsets above a commit, written into its metadata string and read back (rule 1).

    rm1:<base64url of LEB128 varints: skip, run, skip, run, …>

`skip` offsets that are not finished, counted from the committed one, then `run` that are. So 512 single offsets, the
worst case of a window of 1,024, take 1,370 characters.
"""

import base64
import binascii
from collections.abc import Iterable, Iterator

PREFIX = "rm1:"
LIMIT = 4_096
"""Kafka's own limit, in characters: offset.metadata.max.bytes."""
_MOST = 65_536
"""More finished offsets than any window holds: who claims more wrote something else."""


def encode(committed: int, finished: Iterable[int], limit: int = LIMIT) -> str:
    """The finished offsets (ascending, from `committed` on) as metadata of at most `limit` characters; the lowest
    are kept where not all fit. Empty for none."""
    room = (limit - len(PREFIX)) * 3 // 4
    data = bytearray()
    position = committed
    for first, run in _runs(finished):
        pair = _varint(first - position) + _varint(run)
        if len(data) + len(pair) > room:
            break
        data += pair
        position = first + run
    return PREFIX + base64.urlsafe_b64encode(data).decode().rstrip("=") if data else ""


def decode(committed: int, metadata: str) -> frozenset[int]:
    """The finished offsets that `metadata` names; none for metadata that is not ours, broken or absurd."""
    if not metadata.startswith(PREFIX):
        return frozenset()
    try:
        numbers = list(_numbers(_bytes(metadata[len(PREFIX) :])))
    except ValueError:
        return frozenset()
    return frozenset(_offsets(committed, numbers)) if _plausible(numbers) else frozenset()


def _runs(offsets: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Ascending offsets as (first, how many in a row)."""
    first = run = 0
    for offset in offsets:
        if run and offset == first + run:
            run += 1
            continue
        if run:
            yield first, run
        first, run = offset, 1
    if run:
        yield first, run


def _offsets(committed: int, numbers: list[int]) -> Iterator[int]:
    position = committed
    for skip, run in zip(numbers[::2], numbers[1::2], strict=True):
        yield from range(position + skip, position + skip + run)
        position += skip + run


def _plausible(numbers: list[int]) -> bool:
    return len(numbers) % 2 == 0 and sum(numbers[1::2]) <= _MOST and sum(numbers) < 2**62


def _varint(number: int) -> bytes:
    data = bytearray()
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)
    return bytes(data)


def _numbers(data: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield number
            number = shift = 0
        elif shift > 63:
            raise ValueError("a varint of more than 64 bits")
    if shift:
        raise ValueError("cut off within a varint")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
