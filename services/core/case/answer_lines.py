"""Finds the answer that the last lines of a text state: after a label, or under a heading.

Runs in bounded time: only the last few thousand characters are read, and all repeats in patterns are bounded.
"""

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.core.case.markup import plain

WORDS: dict[str, list[str]] = tomllib.loads((Path(__file__).parent / "answer_words.toml").read_text(encoding="utf-8"))


def any_of(phrases: Iterable[str]) -> str:
    """A pattern that matches any of these phrases, longest first."""
    return "|".join(re.escape(phrase) for phrase in sorted(set(phrases), key=lambda phrase: (-len(phrase), phrase)))


_TAIL = 4_000
"""Characters at the end of a text that are searched for its answer."""

_LINE = 600
"""Characters at the end of a line that are searched."""

_NOISE_LINES = 6
"""Lines that may follow the answer, such as pleasantries."""

_SPACED = [word for word in WORDS["is"] if word[-1] < "\u2e80"]
_UNSPACED = [word for word in WORDS["is"] if word[-1] >= "\u2e80"]
_IS = rf"(?:\s{{1,3}}(?:{any_of(_SPACED)})(?!\w)|\s{{0,3}}(?:{any_of(_UNSPACED)}))"
_CLAUSE = rf"(?:{any_of(WORDS['lead_in_clauses'])})[^.,;。，]{{0,200}}[,，]\s?"
_LEAD_IN = rf"(?:{_CLAUSE}|(?:{any_of(WORDS['lead_ins'])})[\s,，:：]{{0,3}})"
_LABEL = re.compile(
    rf"[\W_]{{0,20}}{_LEAD_IN}{{0,5}}(?:(?:{any_of(WORDS['labels'])})"
    rf"(?:[\]】」』]?{_IS}?\s{{0,3}}(?P<colon>[:：=|→➜⇒—–]|[-=]>|-(?=\s))\s{{0,20}}|{_IS}|[\]】」』]|(?=[\s.]{{0,5}}$))|(?:{any_of(WORDS['takes_none'])})[:：]?)",
    re.IGNORECASE,
)
_IS_THE_ANSWER = re.compile(
    rf"{_LEAD_IN}{{0,5}}(?P<value>[^.!?。]{{1,200}}(?:\.\s[^.!?。]{{1,200}})??)\s{{0,3}}(?:{any_of(WORDS['is_the_answer'])})[\s.。!]{{0,5}}$",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[.!?;。！？；](?:\s|(?<=[。！？；]))")
_PLEASANTRY = re.compile(rf"[.!。！]\W{{0,10}}(?:{any_of(WORDS['pleasantries'])})", re.IGNORECASE)


@dataclass(frozen=True)
class Ending:
    """Candidates for the answer in a text's last lines."""

    labelled: Sequence[str] = ()
    """The text after each label that begins a sentence of the last line; or the subject of its last "... is
    correct"."""
    asked_form: bool = False
    """Whether the last label begins the line, the format that prompts ask for."""
    under_heading: str | None = None
    """The last line, if the line before is only a label."""


def ending(text: str) -> Ending:
    """The text's last lines, without closing marks and pleasantries."""
    lines = _last_lines(text)
    if not lines:
        return Ending()
    labels = _labels(lines[-1])
    if not labels:
        heading = len(lines) > 1 and any(
            end == len(lines[-2].rstrip(" .")) for _, end in _labels(lines[-2], empty=True)
        )
        return Ending(labelled=_reversed(lines[-1]), under_heading=lines[-1] if heading else None)
    starts = [start for start, _ in labels[1:]] + [len(lines[-1])]
    values = [_without_pleasantry(lines[-1][end:start]) for (_, end), start in zip(labels, starts, strict=True)]
    return Ending(labelled=values, asked_form=labels[-1][0] == 0)


def _labels(line: str, *, empty: bool = False) -> list[tuple[int, int]]:
    """Spans of labels at the start of the line and after each sentence; with `empty`, of labels without a value."""
    starts = [0, *(match.end() for match in _SENTENCE.finditer(line))]
    found = [(start, _label_end(line, start)) for start in starts]
    return [(start, end) for start, end in found if end > start and (not line[end:].strip(" .")) == empty]


def _label_end(line: str, start: int) -> int:
    """The end of the label that begins here, including labels right after it: "Final answer: the correct answer is"."""
    for _ in range(3):
        if (match := _LABEL.match(line, start)) is None or match.end() == start:
            break
        start = match.end()
    return start


def _reversed(line: str) -> list[str]:
    """The subjects of "... is correct" and similar, from the start of each of the last sentences."""
    starts = [0, *(match.end() for match in _SENTENCE.finditer(line))][-4:]
    found = [_IS_THE_ANSWER.match(line, start) for start in starts]
    return [match["value"] for match in found if match is not None]


def _last_lines(text: str) -> list[str]:
    """The last two non-empty lines, without markup; a long line is cut to its end."""
    lines: list[str] = []
    for line in reversed(text.rstrip()[-_TAIL:].splitlines()[-4 * _NOISE_LINES :]):
        text_line = plain(line if len(line) <= _LINE else "… " + line[-_LINE:])
        if re.search(r"\w", text_line) is None or (not lines and _PLEASANTRY.match("." + text_line)):
            continue
        lines.insert(0, text_line)
        if len(lines) == 2:
            break
    return lines


def _without_pleasantry(value: str) -> str:
    match = _PLEASANTRY.search(value)
    return (value if match is None else value[: match.start()]).strip()
