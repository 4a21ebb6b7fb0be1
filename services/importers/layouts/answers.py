"""Finds the answer's letter from the fields that data sets use. Pure.

A number whose base (0 or 1) is not declared is never interpreted alone: it must agree, in one of the bases, with a
letter or text beside it.
"""

import math
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, assert_never

from services.contracts.question import LETTERS
from services.core.dedupe.cleaning import cleaned
from services.importers.layouts.options import Choices, letter_of, literal
from services.importers.rows import Unfit

Kind = Literal["any", "letter", "text", "from 0", "from 1", "label"]
"""`any`: a letter, label or text, if these agree; `from N`: a number with this base; `label`: the data set's own label
of the option."""

NUMBERING: Final = "is a number whose base is unknown: set --columns answer_index=0 or answer_index=1"
NONE: Final = "the row has no answer: those of test splits are often not published"
SEVERAL: Final = "has several answers: a question must have exactly one"

_MISSING: Final = frozenset({"nan", "none", "null", "<na>"})
_MARKED_UP: Final = 40
"""The length from which an option cannot be a single letter, even with markup."""
_NUMBER: Final = re.compile(r"[+-]?\d{1,9}(?:\.0{1,9})?")
_SEVERAL: Final = re.compile(r"(?:\(?[A-Ja-j][.)]?(?:\s*(?:[,;/&+|]|and|or)\s*|\s+))+\(?[A-Ja-j][.)]?", re.IGNORECASE)
_RUN: Final = re.compile(r"[A-J]{2,10}")
_WITH_TEXT: Final = re.compile(r"[(\[]?([A-Ja-j])[)\].:]+\s*(\S.*)", re.DOTALL)
_SPOKEN: Final = re.compile(r"(?:the )?(?:correct )?answer(?: is)?[ :]+\(?([A-Ja-j])\)?\.?", re.IGNORECASE)


@dataclass(frozen=True)
class Said:
    """A field that states the answer."""

    field: str
    kind: Kind = "any"


def answer(said: Sequence[tuple[str, Kind, Any]], choices: Choices) -> str:
    """The letter of the answer, on which all fields must agree. Raises Unfit."""
    return _plain_letter(said, choices) or _agreed(said, choices)


def _plain_letter(said: Sequence[tuple[str, Kind, Any]], choices: Choices) -> str | None:
    """Fast path for most rows: the letter, if one field is a letter and another its option's text."""
    if not choices.lettered or choices.right:
        return None
    letter, texts = None, choices.texts
    for _, kind, value in said:
        if value is None:
            continue
        if type(value) is not str:
            return None
        if letter is None and value in texts and kind != "text":
            letter = value
        elif letter is None or value not in (letter, texts[letter]):
            return None
    return letter


def _agreed(said: Sequence[tuple[str, Kind, Any]], choices: Choices) -> str:
    """The letter that all fields agree on. Raises Unfit."""
    letters, numbers = _stated(said, choices)
    if not letters:
        field = next(iter(numbers), "answer")
        raise Unfit(field, NUMBERING if numbers else NONE)
    first, *others = letters.items()
    for field, letter in others:
        if letter != first[1]:
            raise Unfit(field, f"is option {letter}, and {first[0]} is option {first[1]}")
    place = list(choices.texts).index(first[1])
    for field, number in numbers.items():
        if number not in (place, place + 1):
            raise Unfit(field, f"is {number}, and {first[0]} is option {first[1]}")
    return first[1]


def _stated(said: Sequence[tuple[str, Kind, Any]], choices: Choices) -> tuple[dict[str, str], dict[str, int]]:
    """Letters, and numbers of unknown base, by field. Raises Unfit if several options are marked."""
    letters: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for field, kind, value in said:
        place = _place(field, kind, value, choices)
        match place:
            case None:
                continue
            case int(number):
                numbers[field] = number
            case str(letter):
                letters[field] = letter
            case _:
                assert_never(place)
    if len(choices.right) > 1:
        raise Unfit("options", SEVERAL)
    if choices.right:
        letters["options"] = choices.right[0]
    return letters, numbers


def missing(value: Any) -> bool:
    """Whether a cell is empty: null, NaN, blank."""
    if isinstance(value, str):
        return not value or value.isspace() or (len(value) < 8 and value.strip().lower() in _MISSING)
    return value is None or (isinstance(value, float) and math.isnan(value))


def _place(field: str, kind: Kind, value: Any, choices: Choices) -> str | int | None:
    """A letter, or a number of unknown base; None if the field is empty."""
    if isinstance(value, str) and value in choices.texts and (choices.lettered or kind == "letter") and kind != "text":
        return value
    value = _single(field, value, choices)
    if isinstance(value, _Letter):
        return value.letter
    if value is None or (missing(value) and _by_text(str(value), choices) is None):
        return None
    if isinstance(value, bool):
        value = str(value)
    if isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value.strip())):
        return _numbered(field, kind, value, choices)
    if not isinstance(value, str):
        raise Unfit(field, "must be a letter or the text of an option")
    return _said(field, kind, value, choices)


@dataclass(frozen=True)
class _Letter:
    letter: str


def _single(field: str, value: Any, choices: Choices) -> Any:
    """The only value of a list, or of a text that contains a list; for a list of 0 and 1 per option, the marked
    option."""
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        with suppress(Unfit):  # `[C]` is not a list of texts
            value = literal(value)
    if not isinstance(value, list | tuple):
        return value
    if len(value) == len(choices.texts) > 1 and all(isinstance(mark, int) and mark in (0, 1) for mark in value):
        marked = [letter for letter, mark in zip(choices.texts, value, strict=True) if mark]
        if len(marked) > 1:
            raise Unfit(field, SEVERAL)
        return _Letter(marked[0]) if marked else None
    if len(value) > 1:
        raise Unfit(field, SEVERAL)
    return value[0] if value else None


def _numbered(field: str, kind: Kind, value: str | float, choices: Choices) -> str | int | None:
    if isinstance(value, float) and not value.is_integer():
        return _said(field, kind, str(value), choices)
    number, text = int(float(value)), str(value).strip()
    letters = list(choices.texts)
    match kind:
        case "from 0" | "from 1":
            place = number - (1 if kind == "from 1" else 0)
            if number == -1 and kind == "from 0":
                return None
            if place not in range(len(letters)):
                raise Unfit(field, f"must be a number {kind} to {len(letters) - (kind == 'from 0')}, this is {number}")
            return letters[place]
        case "text":
            return _said(field, kind, text, choices)
        case "any" | "letter" | "label":
            labels = [None if label is None else label.strip() for label in choices.labels]
            if str(number) in labels and all(label and _NUMBER.fullmatch(label) for label in labels):
                return letters[labels.index(str(number))]
            if kind == "label":
                raise Unfit(field, f"{number} is not an option")
            if _by_text(text, choices) is not None and number <= len(letters):
                raise Unfit(field, f"{text} may be a text or a number: set --columns answer_text or answer_index=0|1")
            return _by_text(text, choices) or number
        case _:
            assert_never(kind)


def _said(field: str, kind: Kind, value: str, choices: Choices) -> str:
    text = value.strip()
    letter = None if kind == "text" else _by_letter(text, choices)
    by_text = None if kind == "letter" else _by_text(text, choices)
    label = None if kind == "text" else _by_label(text, choices)
    if letter and (choices.lettered or kind == "letter"):
        return letter
    found = {one for one in (letter, by_text, label) if one}
    if len(found) > 1:
        raise Unfit(field, f"{text!r} is the letter of one option and the text of another: set --columns answer_text")
    if kind != "text" and _is_several(text, choices):
        if by_text and not letter:
            raise Unfit(field, f"{text!r} is several letters and the text of an option: set --columns answer_text")
        if not letter:
            raise Unfit(field, SEVERAL)
    if found:
        return found.pop()
    if kind != "text" and (both := _WITH_TEXT.fullmatch(text)):
        return _letter_with_text(field, both[1].upper(), both[2], choices)
    if kind == "letter":
        raise Unfit(field, f"must be one of {', '.join(choices.texts)}")
    raise Unfit(field, f"is not an option: it must be one of {', '.join(choices.texts)}, or the text of one")


def _letter_with_text(field: str, letter: str, text: str, choices: Choices) -> str:
    if letter in choices.texts and _by_text(text, choices) == letter:
        return letter
    raise Unfit(field, f"begins with {letter}, but continues with a text other than that option's")


def _by_letter(text: str, choices: Choices) -> str | None:
    letter = letter_of(text)
    if letter is None and (spoken := _SPOKEN.fullmatch(text)):
        letter = spoken[1].upper()
    return letter if letter in choices.texts else None


def _by_text(text: str, choices: Choices) -> str | None:
    """The only option with exactly this text, or else with the same text without markup, case and full stop."""
    exact = [letter for letter, option in choices.texts.items() if option == text]
    if len(exact) == 1:
        return exact[0]
    if len(text) == 1 and all(len(option) > _MARKED_UP for option in choices.texts.values()):
        return None
    for form in (_plain, _folded):
        found = [letter for letter, option in choices.texts.items() if form(option) == form(text)]
        if len(found) == 1:
            return found[0]
        if found:
            return None
    return None


def _by_label(text: str, choices: Choices) -> str | None:
    places = [place for place, label in enumerate(choices.labels) if label and label.strip().lower() == text.lower()]
    return list(choices.texts)[places[0]] if len(places) == 1 else None


def _is_several(text: str, choices: Choices) -> bool:
    if len(text) > 60 or not (_SEVERAL.fullmatch(text) or _RUN.fullmatch(text)):
        return False
    letters: Sequence[str] = re.findall(r"(?<![A-Za-z])[A-Ja-j](?![A-Za-z])", text) or list(text)
    return all(letter.upper() in LETTERS for letter in letters)


def _plain(text: str) -> str:
    return " ".join(cleaned(text).split())


def _folded(text: str) -> str:
    return _plain(text).casefold().rstrip(". ")
