"""Detects degenerate repetition: the same line, words or characters hundreds of times in a row. Linear."""

import re
from collections.abc import Sequence
from itertools import groupby, islice
from operator import eq

TIMES = 100
"""Repeats that make a text degenerate. Tables and lists of real texts repeat a line or word about ten times."""

_RULE_TIMES = 400
"""The same for punctuation alone, which also draws rules."""

_KEY = 16
"""Characters whose next occurrence gives the period. Prose usually has none nearby."""

_STRIDE = 150
"""Characters between two places where a period is looked for: TIMES words of one letter and a space fill more."""

_PERIOD = 400
"""The longest period that is looked for in the middle of a text, in characters."""

_NUMBER = re.compile(r"[0-9]+")
_WORDS = re.compile(r"[^\W\d_]{2}.*\s[^\W\d_]{2}")
"""Two words: a line of a table that has only numbers is none."""


def repeats(text: str) -> bool:
    """Whether a line occurs TIMES in a row, also with other numbers in it; or a pattern does, at the end of the text,
    or anywhere if it is at most _PERIOD long."""
    text = text.rstrip()
    if len(text) < TIMES:
        return False
    lines = [line for line in map(str.strip, text.splitlines()) if line]
    return _ends_in_a_loop(text) or _runs(lines) or _counts(lines) or _loops(text)


def _ends_in_a_loop(text: str) -> bool:
    earlier = text.rfind(text[-_KEY:], 0, len(text) - 1)
    if earlier < 0:
        return False
    period = len(text) - _KEY - earlier
    pattern = text[-period:]
    times = _times(pattern) - 1  # the first repeat may begin inside other words
    return period * times <= len(text) and text.endswith(pattern * times)


def _loops(text: str) -> bool:
    return any(_loops_at(text, at) for at in range(0, len(text), _STRIDE))


def _loops_at(text: str, at: int) -> bool:
    again = text.find(text[at : at + _KEY], at + 1, at + _PERIOD + _KEY)
    if again < 0:
        return False
    pattern, period = text[at:again], again - at
    if not pattern.strip() or not text.startswith(pattern * 3, at):
        return False
    begin = at
    while begin >= period and at - begin < _STRIDE and text.startswith(pattern, begin - period):
        begin -= period
    times = _times(pattern) - 1  # the first repeat may begin inside other words
    return text.startswith(pattern * times, begin)


def _counts(lines: Sequence[str]) -> bool:
    """Whether lines repeat but for the numbers in them."""
    if len(lines) < TIMES:
        return False
    return _runs([_NUMBER.sub("", line) if _WORDS.search(line) else str(n) for n, line in enumerate(lines)])


def _runs(items: Sequence[str]) -> bool:
    """Whether an item occurs TIMES in a row. Runs are counted only if enough items equal their predecessor."""
    if len(items) < TIMES or sum(map(eq, items, islice(items, 1, None))) < TIMES - 1:
        return False
    return any(sum(1 for _ in run) >= _times(item) for item, run in groupby(items))


def _times(pattern: str) -> int:
    return TIMES if any(map(str.isalnum, pattern)) else _RULE_TIMES
