"""Detects degenerate repetition: the same line, words or characters hundreds of times in a row. Linear."""

from collections.abc import Sequence
from itertools import groupby, islice
from operator import eq

TIMES = 100
"""Repeats that make a text degenerate. Tables and lists of real texts repeat a line or word about ten times."""

_RULE_TIMES = 400
"""The same for punctuation alone, which also draws rules."""

_KEY = 16
"""Characters at the end whose last earlier occurrence gives the period. Prose usually has no earlier occurrence."""

_BLOCK = 100
"""Characters: TIMES words of one letter and a space fill at least one such block, wherever blocks begin."""

_BLANKS = 4
"""Characters between two words. More within a period belong to a sentence."""


def repeats(text: str) -> bool:
    """Whether a line or word occurs TIMES in a row, or the text ends in a pattern that does."""
    text = text.rstrip()
    if len(text) < TIMES:
        return False
    if _ends_in_a_loop(text) or _runs(list(filter(None, map(str.strip, text.splitlines())))):
        return True
    return _has_short_period(text) and _runs(text.split())


def _ends_in_a_loop(text: str) -> bool:
    earlier = text.rfind(text[-_KEY:], 0, len(text) - 1)
    if earlier < 0:
        return False
    period = len(text) - _KEY - earlier
    pattern = text[-period:]
    times = _times(pattern) - 1  # the first repeat may begin inside other words
    return period * times <= len(text) and text.endswith(pattern * times)


def _has_short_period(text: str) -> bool:
    """Whether TIMES equal words in a row are possible: they fill a whole block. Costs a tenth of comparing every
    word."""
    return any(_repeats_a_word(text[at : at + _BLOCK]) for at in range(0, len(text), _BLOCK))


def _repeats_a_word(block: str) -> bool:
    period = block.find(block[:_KEY], 1)
    return period > 0 and block.count(" ", 0, period) <= _BLANKS and block.startswith(block[period:])


def _runs(items: Sequence[str]) -> bool:
    """Whether an item occurs TIMES in a row. Runs are counted only if enough items equal their predecessor."""
    if len(items) < TIMES or sum(map(eq, items, islice(items, 1, None))) < TIMES - 1:
        return False
    return any(sum(1 for _ in run) >= _times(item) for item, run in groupby(items))


def _times(pattern: str) -> int:
    return TIMES if any(map(str.isalnum, pattern)) else _RULE_TIMES
