"""Degenerate repetition: a model that says the same line, words or characters hundreds of times over.

Linear in the text: runs are counted in one pass, and longer patterns are looked for by a failure function over the
text's end, only where that end compresses to almost nothing.
"""

import zlib
from collections.abc import Hashable, Sequence
from itertools import groupby

TIMES = 100
"""Repeats from which on a text is degenerate: a table or list of the real texts has a line or word some ten times."""

_RULE_TIMES = 400
"""For signs alone: rules are drawn with them."""

_ENDS = (400, 2_000, 20_000)
"""Characters at the end that are looked at for a pattern: a short one may repeat in the last few hundred alone."""

_COMPRESSES, _OVERHEAD_BYTES = 0.08, 40
"""Prose compresses to a third or more; a hundred repeats of anything to less than this share, and zlib's own bytes."""


def repeats(text: str) -> bool:
    """Whether a line or word occurs TIMES on end, or the text ends in a pattern that does."""
    if len(text) < TIMES:
        return False
    if _runs(text.split()) or _runs([line for line in map(str.strip, text.splitlines()) if line]):
        return True
    return any(_looks_repeated(end) and _periodic(end) for end in (text[-size:] for size in _ENDS))


def _runs(items: Sequence[str]) -> bool:
    if len(items) < TIMES:
        return False
    return any(sum(1 for _ in run) >= _times(item) for item, run in groupby(items))


def _times(pattern: str) -> int:
    return TIMES if any(map(str.isalnum, pattern)) else _RULE_TIMES


def _looks_repeated(text: str) -> bool:
    return (
        len(text) >= TIMES
        and len(zlib.compress(text.encode("utf-8", "replace"), 1)) < _COMPRESSES * len(text) + _OVERHEAD_BYTES
    )


def _periodic(text: str) -> bool:
    """Whether the text ends in a pattern of characters, or of words, that is repeated often enough."""
    reversed_words = text.split()[::-1]
    return _ends_in_repeats(text[::-1], text) or _ends_in_repeats(reversed_words, text)


def _ends_in_repeats(backwards: Sequence[Hashable], text: str) -> bool:
    """By the failure function: where a beginning of length n has a border of n - p, it repeats its first p items."""
    border = [0] * len(backwards)
    length = 0
    for index in range(1, len(backwards)):
        while length and backwards[index] != backwards[length]:
            length = border[length - 1]
        length += backwards[index] == backwards[length]
        border[index] = length
        period = index + 1 - length
        if (index + 1) // period >= TIMES:
            pattern = "".join(map(str, backwards[:period]))
            if (index + 1) // period >= _times(pattern):
                return True
    return False
