"""Where a text's last lines state an answer: after a label, or under a heading.

Only the last few thousand characters are looked at, and every pattern's repeats are bounded: no text takes long.
"""

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.core.case.markup import plain

WORDS: dict[str, list[str]] = tomllib.loads((Path(__file__).parent / "answer_words.toml").read_text(encoding="utf-8"))


def any_of(phrases: Iterable[str]) -> str:
    """A pattern of these phrases, the longest first."""
    return "|".join(re.escape(phrase) for phrase in sorted(set(phrases), key=lambda phrase: (-len(phrase), phrase)))


_TAIL = 4_000
"""Characters at a text's end in which its answer is looked for."""

_LINE = 600
"""Characters at a line's end that are looked at."""

_NOISE_LINES = 6
"""Lines after the answer that may say nothing of it."""

_SPACED = [word for word in WORDS["is"] if word[-1] < "\u2e80"]
_UNSPACED = [word for word in WORDS["is"] if word[-1] >= "\u2e80"]
_IS = rf"(?:\s{{1,3}}(?:{any_of(_SPACED)})(?!\w)|\s{{0,3}}(?:{any_of(_UNSPACED)}))"
_CLAUSE = rf"(?:{any_of(WORDS['lead_in_clauses'])})[^.,;。，]{{0,200}}[,，]\s?"
_LEAD_IN = rf"(?:{_CLAUSE}|(?:{any_of(WORDS['lead_ins'])})[\s,，:：]{{0,3}})"
_LABEL = re.compile(
    rf"[\W_]{{0,20}}{_LEAD_IN}{{0,5}}(?:(?:{any_of(WORDS['labels'])})"
    rf"(?:{_IS}?\s{{0,3}}(?P<colon>[:：=]|-(?=\s))\s{{0,20}}|{_IS}|(?=[\s.]{{0,5}}$))|(?:{any_of(WORDS['takes_none'])})[:：]?)",
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
    """What a text's last lines offer as its answer."""

    labelled: Sequence[str] = ()
    """What follows each label that begins a sentence of the last line; or what its last sentence says is correct."""
    asked_form: bool = False
    """Whether the last label begins the line: the form that prompts ask for."""
    under_heading: str | None = None
    """The last line, where the line before is a label alone."""


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
    """Where labels begin and end, at the line's beginning and after each sentence; those of `empty` have no value."""
    starts = [0, *(match.end() for match in _SENTENCE.finditer(line))]
    found = [(start, _label_end(line, start)) for start in starts]
    return [(start, end) for start, end in found if end > start and (not line[end:].strip(" .")) == empty]


def _label_end(line: str, start: int) -> int:
    """Where the label that begins here ends, with those that follow it: "Final answer: the correct answer is"."""
    for _ in range(3):
        if (match := _LABEL.match(line, start)) is None or match.end() == start:
            break
        start = match.end()
    return start


def _reversed(line: str) -> list[str]:
    """What stands before "is correct" and the like, from the beginning of each of the last sentences."""
    starts = [0, *(match.end() for match in _SENTENCE.finditer(line))][-4:]
    found = [_IS_THE_ANSWER.match(line, start) for start in starts]
    return [match["value"] for match in found if match is not None]


def _last_lines(text: str) -> list[str]:
    """The last two lines that say something, without markup; of a long line its end."""
    lines: list[str] = []
    for line in reversed(text.rstrip()[-_TAIL:].splitlines()[-4 * _NOISE_LINES :]):
        said = plain(line if len(line) <= _LINE else "… " + line[-_LINE:])
        if re.search(r"\w", said) is None or (not lines and _PLEASANTRY.match("." + said)):
            continue
        lines.insert(0, said)
        if len(lines) == 2:
            break
    return lines


def _without_pleasantry(value: str) -> str:
    match = _PLEASANTRY.search(value)
    return (value if match is None else value[: match.start()]).strip()
