"""Degenerate repetition: a model that says the same line, words or characters hundreds of times on end. Linear."""

from collections.abc import Sequence
from itertools import groupby

TIMES = 100
"""Repeats from which on a text is degenerate: a table or list of the real texts has a line or word some ten times."""

_RULE_TIMES = 400
"""For signs alone: rules are drawn with them."""

_KEY = 16
"""Characters at the end whose last earlier occurrence gives the period: none of prose, as a rule."""


def repeats(text: str) -> bool:
    """Whether a line or word occurs TIMES on end, or the text ends in a pattern that does."""
    text = text.rstrip()
    if len(text) < TIMES:
        return False
    return _ends_in_a_loop(text) or _runs(text.split()) or _runs(list(filter(None, map(str.strip, text.splitlines()))))


def _ends_in_a_loop(text: str) -> bool:
    earlier = text.rfind(text[-_KEY:], 0, len(text) - 1)
    if earlier < 0:
        return False
    period = len(text) - _KEY - earlier
    pattern = text[-period:]
    times = _times(pattern) - 1  # the first of them may have begun within other words
    return period * times <= len(text) and text.endswith(pattern * times)


def _runs(items: Sequence[str]) -> bool:
    """Whether an item occurs often enough in a row. Looked at only where one occurs so often at all."""
    if len(items) < TIMES or len(items) - len(set(items)) < TIMES - 1:
        return False
    return any(sum(1 for _ in run) >= _times(item) for item, run in groupby(items))


def _times(pattern: str) -> int:
    return TIMES if any(map(str.isalnum, pattern)) else _RULE_TIMES
