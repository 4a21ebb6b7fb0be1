"""Parses options in the forms that data sets and tools write. Pure."""

import ast
import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, NamedTuple

from services.contracts.codec import Malformed, loads
from services.contracts.question import LETTERS
from services.importers.rows import Unfit

LITERAL_BYTES: Final = 32_768
"""The most characters of a Python literal that are parsed: ast needs about 100 bytes for each."""

_NAMES_OF_TEXT: Final = (
    "text", "value", "atext", "content", "option", "option_text", "choice", "answer", "description", "body",
)  # fmt: skip
_NAMES_OF_LABEL: Final = ("label", "labels", "key", "keys", "aid", "letter", "id", "name", "index", "idx", "position")
_NAMES_OF_RIGHT: Final = ("is_correct", "isCorrect", "correct", "is_answer", "right")
_NAMES_OF_TEXTS: Final = ("text", "texts", "choices", "value", "values", "options")

_PREFIX: Final = r"(?:op|opt|option|choice|ending|answer|ans|alternative)?"
_LETTER: Final = re.compile(rf"{_PREFIX}[ _-]?[(\[]?([A-Za-z])[)\]]?[.):,]?", re.IGNORECASE)
_MARKED: Final = re.compile(r"\s*[(\[]?([A-Ja-j]|\d{1,2})(?:[)\].:\u3001\uff0e\uff1a]+\s*|\s+)(\S.*)", re.DOTALL)
_INLINE_MARK: Final = re.compile(r"(?:^|(?<=[\s;,|]))\(?([A-J])[).:\u3001\uff0e\uff1a]+\s*")
_ARRAY: Final = re.compile(r"(?:array\()?(\[.*?\])(?:,\s*dtype=\w{1,20}\))?", re.DOTALL)
_NESTED_ARRAY: Final = re.compile(r"array\((\[[^\[\]]*\])(?:,\s*dtype=\w{1,20})?\)")
_OBJECTS: Final = re.compile(r"\}\s+\{")
"""Between two objects of a numpy array."""
_ARRAYS: Final = 100
_QUOTED: Final = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""")


class Option(NamedTuple):
    """One option."""

    label: str | None
    text: str | None
    """None: the option is blank."""
    right: bool | None = None
    """Whether the option is marked as the answer."""


class Choices(NamedTuple):
    """All options by letter."""

    texts: dict[str, str]
    labels: tuple[str | None, ...]
    """The data set's labels, by position."""
    lettered: bool
    """Whether the data set itself has letters, so that a letter is unambiguous."""
    right: tuple[str, ...] = ()
    """Letters of the options that are marked as the answer."""


_RUNS: Final = frozenset(tuple(LETTERS[:count]) for count in range(2, len(LETTERS) + 1))


def plain(letters: tuple[Any, ...], texts: Sequence[Any]) -> Choices | None:
    """Fast path for most rows: texts for A, B, C … without a gap. None for other rows."""
    if letters not in _RUNS:
        return None
    for text in texts:
        if type(text) is not str or not text or text.isspace():
            return None
    return Choices(dict(zip(letters, texts, strict=True)), letters, True)


def choices(options: Sequence[Option], padding: frozenset[str] = frozenset()) -> Choices:
    """Options with letters. Blank options and `padding` at the end are dropped. A blank option between others is an
    error, since the letters after it would shift. Raises Unfit."""
    letters = [letter_of(option.label) for option in options]
    lettered = bool(options) and all(letters)
    if lettered:
        if len(set(letters)) < len(letters):
            raise Unfit("options", "two options have the same letter")
        pairs = sorted(zip(map(str, letters), options, strict=True), key=lambda pair: pair[0])
    else:
        pairs = [(str(place), option) for place, option in enumerate(options)]
    while pairs and (pairs[-1][1].text is None or pairs[-1][1].text in padding):
        pairs.pop()
    if len(pairs) > len(LETTERS):
        raise Unfit("options", f"at most {len(LETTERS)} are allowed, there are {len(pairs)}")
    named = pairs if lettered else [(LETTERS[place], option) for place, (_, option) in enumerate(pairs)]
    for letter, option in named:
        if option.text is None:
            raise Unfit(f"options.{letter}", "is blank: only options at the end may be missing")
    return Choices(
        texts={letter: str(option.text) for letter, option in named},
        labels=tuple(option.label for _, option in named),
        lettered=lettered,
        right=tuple(letter for letter, option in named if option.right),
    )


def read(value: Any) -> list[Option]:
    """Parse the options in one value: an object by letter, a list of texts or objects, parallel lists, or a text that
    contains any of these. Raises Unfit."""
    match value:
        case str():
            return _text(value)
        case Mapping():
            return _mapping(value)
        case list() | tuple():
            return _list(value)
        case None:
            raise Unfit("options", "are missing")
        case _:
            raise Unfit("options", "must be an object of texts by letter, or a list of texts")


def letter_of(label: Any) -> str | None:
    """The letter of a label such as `b`, `(B)`, `option_b` or `opb`."""
    return _letter_of(label) if isinstance(label, str) and len(label) <= 20 else None


@lru_cache(maxsize=1024)
def _letter_of(label: str) -> str | None:
    found = _LETTER.fullmatch(label.strip())
    return found[1].upper() if found else None


def text_of(value: Any) -> str | None:
    """The value as text, a number as written; None for null, NaN and white space. Raises Unfit."""
    if isinstance(value, str):
        return value if value.strip() else None
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool | int | float):
        return str(value)
    raise Unfit("options", "each must be a text")


def literal(text: str) -> Any:
    """Parse an object or list that JSON, Python or numpy wrote as text, as `to_csv` does; None for another text. Raises
    Unfit."""
    trimmed = text.strip()
    if trimmed[:1] not in ("{", "[") and not trimmed.startswith("array("):
        return None
    try:
        return loads(trimmed)
    except Malformed:
        pass
    if len(trimmed) > LITERAL_BYTES or trimmed.count("array(") > _ARRAYS:
        raise Unfit("options", f"as one text they are at most {LITERAL_BYTES:,} characters")
    if array := _array(trimmed):
        return array
    try:
        return ast.literal_eval(_OBJECTS.sub("}, {", _NESTED_ARRAY.sub(r"\1", trimmed)))
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError) as error:
        raise Unfit("options", f"as one text they must be JSON or a Python literal: {error}") from error


def _array(text: str) -> list[str] | None:
    """Parse a printed numpy array of texts, separated by white space: Python would concatenate them."""
    found = _ARRAY.fullmatch(text)
    if found is None:
        return None
    inner = found[1][1:-1]
    if _QUOTED.sub("", inner).strip():
        return None
    return [_unescaped(one[1] if one[1] is not None else one[2]) for one in _QUOTED.finditer(inner)]


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), text, flags=re.DOTALL)


def _text(text: str) -> list[Option]:
    value = literal(text)
    if value is not None:
        return read(value)
    lines = [line for line in text.splitlines() if line.strip()]
    for parts in (lines, text.split("|")):
        if len(parts) > 1 and (marked := _marked(parts)):
            return marked
    if inline := _inline(text):
        return inline
    for parts in (lines, text.split("|")):
        if len(parts) > 1:
            return [Option(None, part.strip() or None) for part in parts]
    raise Unfit("options", "as one text they must be JSON, a Python literal, a line each, or like `A. x B. y`")


def _inline(text: str) -> list[Option] | None:
    """Parse `A. x B. y`, if each letter occurs exactly once."""
    marks = list(_INLINE_MARK.finditer(text))
    letters = "".join(mark[1] for mark in marks)
    if len(marks) < 2 or letters != LETTERS[: len(marks)] or text[: marks[0].start()].strip():
        return None
    ends = [*(after.start() for _, after in pairwise(marks)), len(text)]
    return [
        Option(mark[1], text[mark.end() : end].strip(" \t\n\r;,|") or None)
        for mark, end in zip(marks, ends, strict=True)
    ]


def _marked(texts: Sequence[str]) -> list[Option] | None:
    """Parse texts that all begin with their label, in order: `A. x`, `(B) y`, `1) z`."""
    found = [_MARKED.fullmatch(text) for text in texts]
    if not all(found):
        return None
    labels = [one[1].upper() for one in found if one]
    numbered = [str(number) for number in range(1, len(labels) + 1)]
    bare = [one for one in found if one and one[0].strip()[1:2].isspace()]
    if sorted(labels) != list(LETTERS[: len(labels)]) and labels != numbered:
        return None
    if bare and labels == numbered:
        return None  # `1 mg`, `2 mg` are texts
    return [Option(one[1].upper(), one[2].strip()) for one in found if one]


def _list(values: Sequence[Any]) -> list[Option]:
    if values and all(isinstance(value, Mapping) for value in values):
        return [_object(value) for value in values]
    texts = [text_of(value) for value in values]
    if len(texts) > 1 and all(isinstance(value, str) and value.strip() for value in values):
        strings = [str(text) for text in texts]
        if not any(len(text.strip()) < 3 for text in strings) and (marked := _marked_by_letter(strings)):
            return marked
        if [text.strip() for text in strings] == list(LETTERS[: len(strings)]):
            raise Unfit("options", "are letters without texts: texts are required")
    return [Option(None, text) for text in texts]


def _marked_by_letter(texts: Sequence[str]) -> list[Option] | None:
    """As `_marked`, for letters with a punctuation mark: `A cell`, `B cell` are texts."""
    if all(re.match(r"\s*[(\[]?[A-Ja-j][)\].:\u3001\uff0e\uff1a]", text) for text in texts):
        return _marked(texts)
    return None


def _object(value: Mapping[str, Any]) -> Option:
    text = next((name for name in _NAMES_OF_TEXT if name in value), None)
    label = next((name for name in _NAMES_OF_LABEL if name in value and name != text), None)
    right = next((name for name in _NAMES_OF_RIGHT if isinstance(value.get(name), bool | int)), None)
    if text is None and len(value) == 1:
        ((label_value, text_value),) = value.items()
        return Option(label_value, text_of(text_value))
    if text is None:
        raise Unfit("options", f"an option must have a text: it has {', '.join(map(str, value))}")
    mark = None if label is None or value[label] is None else str(value[label])
    return Option(mark, text_of(value[text]), None if right is None else bool(value[right]))


def _mapping(value: Mapping[str, Any]) -> list[Option]:
    texts = next((name for name in _NAMES_OF_TEXTS if isinstance(value.get(name), list)), None)
    if texts is not None:
        return _side_by_side(value, texts)
    if value and all(isinstance(text, bool) for text in value.values()):
        return [Option(None, text_of(name), bool(right)) for name, right in value.items()]
    return [Option(str(label), text_of(text)) for label, text in value.items()]


def _side_by_side(value: Mapping[str, Any], texts: str) -> list[Option]:
    """Parse `{"text": […], "label": […]}`; labels of 0 and 1 mark the answer."""
    listed = [text_of(text) for text in value[texts]]
    labels = next((value[name] for name in _NAMES_OF_LABEL if isinstance(value.get(name), list)), None)
    if labels is None:
        return [Option(None, text) for text in listed]
    if len(labels) != len(listed):
        raise Unfit("options", f"there are {len(listed)} texts and {len(labels)} labels")
    if (
        sorted(labels, key=str) == [0] * (len(labels) - 1) + [1]
        and len(labels) > 1
        and all(isinstance(label, int) for label in labels)
        and len(labels) != 2
    ):
        return [Option(None, text, bool(label)) for label, text in zip(labels, listed, strict=True)]
    return [Option(None if label is None else str(label), text) for label, text in zip(labels, listed, strict=True)]
