"""Numbers the steps of a chain of thought. Pure, and linear in the text.

A step is what a reader can find wrong by itself: a sentence, or an item of a list. A heading, a lead-in ("Let us look
at each option:") and a marker ("A.", "2.", "---") belong to the step that follows. The numbering depends on the words
and on where lines end, not on how much white space there is.
"""

import re
from collections.abc import Iterator, Sequence

MOST_STEPS = 200
"""The last step holds the rest of a text with more. A path of 1,500 words has about 80."""

_BREAK = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_GAP = re.compile(r"\s+|(?<=[。！？])[”’」』）】]{0,3}(?=[^\s。！？”’」』）】])")
"""White space; or nothing, after a sentence in a script that has none."""

_WORD = 24
"""Characters of a word that are looked at, from its end: enough for a full stop with closing quotes and brackets."""

_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’)\]*_」』）】]*\Z")
_LEAD_IN = re.compile(r"[:：][\"'”’)\]*_]*\Z")
_MARKER = re.compile(r"[(\[*_]*(?:[A-Za-z]|\d{1,3}|[ivxIVX]{1,5})[.:)\]][.:)\]*_]*")
_LISTED = re.compile(r"[(\[]?[a-z][.)]\s")
_LETTER = re.compile(r"[(\[\"'“‘*_]*[A-Za-z]\.")
"""A letter with a full stop names an option ("the answer is B. Cortisol"), or is an initial."""
_INITIALS = re.compile(r"[(\[\"'“‘*_]*(?:[A-Za-z]\.){2,6}")
_ABBREVIATIONS = frozenset("al approx ca cf dr e.g eq fig i.e mr mrs ms prof resp st vs".split())  # noqa: SIM905


def step_ends(text: str) -> tuple[int, ...]:
    """Where each step ends, in characters; the last at the end of the text. Step n is text[ends[n - 2]:ends[n - 1]],
    and begins at 0 if n is 1. Every character is in exactly one step; the white space after a step belongs to it."""
    if not text:
        return ()
    ends: list[int] = []
    for end in _ends(text):
        if len(ends) == MOST_STEPS - 1:
            break
        ends.append(end)
    return (*ends, len(text))


def steps(text: str, ends: Sequence[int]) -> list[str]:
    """The steps of a text, by where they end."""
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def numbered(text: str, ends: Sequence[int]) -> str:
    """The text for a judge: a line for each step, after its number in brackets. As each line begins with its own
    number, a number that the text holds is not mistaken for one."""
    return "\n".join(f"[{number}] {' '.join(step.split())}" for number, step in enumerate(steps(text, ends), start=1))


def _ends(text: str) -> Iterator[int]:
    """The ends of all steps but the last."""
    first, last = len(text) - len(text.lstrip()), len(text.rstrip())
    step = line = at = first  # where the step, its last line and its last word begin
    wordless = True
    for gap in _GAP.finditer(text, first, last):
        word, previous, at = text[max(at, gap.start() - _WORD) : gap.start()], at, gap.end()
        broken = _BREAK.search(gap.group()) is not None
        wordless = wordless and not any(map(str.isalnum, text[previous : gap.start()]))
        only_marker = wordless or (previous in (step, line) and _MARKER.fullmatch(word) is not None)
        leads_in = _is_heading(text, line, gap.start()) or (broken and _LEAD_IN.search(word) is not None)
        if not (only_marker or leads_in) and _ends_here(text, word, at, broken=broken):
            yield at
            step, wordless = at, True
        if broken:
            line = at


def _ends_here(text: str, word: str, at: int, *, broken: bool) -> bool:
    """Whether a step ends between this word and the one at `at`; `broken`: with its line."""
    sentence_ends = _SENTENCE_END.search(word) is not None
    if broken and (sentence_ends or _LISTED.match(text, at)):
        return True
    if text[at].islower() or not (broken or sentence_ends):
        return False
    return broken or not (_LETTER.fullmatch(word) or _INITIALS.fullmatch(word) or _is_abbreviation(word))


def _is_abbreviation(word: str) -> bool:
    return word.endswith(".") and word[:-1].lstrip("([\"'“‘*_").casefold() in _ABBREVIATIONS


def _is_heading(text: str, start: int, end: int) -> bool:
    """Whether a line is one in Markdown: after #, or all of it bold."""
    return text.startswith("#", start) or (text.startswith("**", start) and text.endswith("**", start + 2, end))
