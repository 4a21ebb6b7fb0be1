"""A layout: the declaration of a data set's fields, and the parser of its rows. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

from services.importers.layouts import answers, options
from services.importers.layouts.answers import Kind, Said, missing
from services.importers.layouts.options import Choices, Option
from services.importers.rows import Fields, Unfit

IMAGES: Final = ("image", "images", "img", "figure", "figures", "image_path", "image_url", "image_name", "image_file")
"""Fields that refer to an image."""


@dataclass(frozen=True)
class Layout:
    """The layout of a data set's rows. A field may be a path such as `data.Question`."""

    name: str
    about: str
    """A description for users: the data set, and how it states answers."""
    question: tuple[str, ...]
    """The fields of the stem, joined by a space."""
    answer: tuple[Said, ...]
    """All fields that state the answer; those that are present must agree."""
    tells: frozenset[str]
    """Fields that every row has, null or not, by which the layout is recognised."""
    options: str | tuple[tuple[str, str], ...] = "options"
    """One field with all of them, or pairs of label and field; with `fixed`, unused."""
    fixed: tuple[str, ...] = ()
    """The options, if all questions have the same."""
    lacks: frozenset[str] = frozenset()
    """Fields of other layouts that rows of this one never have."""
    values: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Fields that hold one of these values in each row."""
    cells: tuple[str, ...] = ()
    """Field names for the cells of a table without a header."""
    padding: frozenset[str] = frozenset()
    """Texts that pad the list of options at its end."""
    context: str | None = None
    id: str | None = None
    source: str | None = None
    """The source in the dataset."""
    source_field: str | None = None
    """The field with the source, if rows have one."""
    subject: str | None = None
    example: Any = None
    """An invented example row."""
    letter: str = "C"
    """The answer of the example."""
    specific: bool = True
    """Whether its result on a row with its fields is final: no general layout is tried after it."""

    def may_have(self, names: tuple[Any, ...]) -> bool:
        """Whether a row with these names may have this layout: a quick check before `has_fields`."""
        return all(name in names or name.partition(".")[0] in names for name in self.tells)

    def has_fields(self, row: Any) -> bool:
        """Whether the row has the fields of this layout."""
        if self.cells and isinstance(row, list):
            return len(row) == len(self.cells)
        if not isinstance(row, Mapping) or not all(has(row, name) for name in self.tells):
            return False
        if any(has(row, name) for name in self.lacks):
            return False
        return all(str(get(row, name)) in allowed for name, allowed in self.values.items())

    def recognises(self, row: Any) -> bool:
        """Whether `parse` succeeds for the row."""
        try:
            return self.has_fields(row) and bool(self.parse(row))
        except Unfit:
            return False

    def parse(self, row: Any) -> Fields:
        """Parse a row to a question. Raises Unfit."""
        named = self._named(row)
        choices = self._choices(named)
        said = [(one.field, one.kind, get(named, one.field)) for one in self.answer]
        return {**self._fields(named), "options": choices.texts, "answer": answers.answer(said, choices)}

    def unanswered(self, row: Any) -> Fields:
        """Parse a row without its answer; the result has the first letter instead. Raises Unfit."""
        named = self._named(row)
        return {**self._fields(named), "options": self._choices(named).texts, "answer": "A"}

    def numbered(self, first: int) -> "Layout":
        """The same layout, with answers that are numbers with this base."""
        kind: Kind = "from 0" if first == 0 else "from 1"
        return replace(self, answer=tuple(replace(one, kind=kind) for one in self.answer))

    def _named(self, row: Any) -> Mapping[str, Any]:
        if self.cells and isinstance(row, list):
            if len(row) != len(self.cells):
                raise Unfit("row", f"must have {len(self.cells)} cells: {', '.join(self.cells)}")
            return dict(zip(self.cells, row, strict=True))
        if not isinstance(row, Mapping):
            raise Unfit("row", "must be an object with named fields")
        return row

    def _choices(self, row: Mapping[str, Any]) -> Choices:
        if self.fixed:
            return _fixed(self.fixed)
        if isinstance(self.options, str):
            value = get(row, self.options)
            if isinstance(value, dict) and (made := options.plain(tuple(value), tuple(value.values()))):
                return made
            if missing(value) or value in ([], {}):
                raise Unfit("options", "are missing: open questions are not supported")
            return options.choices(options.read(value), self.padding)
        pairs = self.options
        texts = [get(row, name) for _, name in pairs]
        while texts and not texts[-1]:
            texts.pop()
        if made := options.plain(_letters(pairs)[: len(texts)], texts):
            return made
        return options.choices([Option(label, options.text_of(get(row, name))) for label, name in pairs], self.padding)

    def _fields(self, row: Mapping[str, Any]) -> Fields:
        made: Fields = {"question": self._stem(row)}
        if self.source:
            made["source"] = self.source
        for name, path in (("id", self.id), ("subject", self.subject), ("source", self.source_field)):
            if path and (text := _short(get(row, path))):
                made[name] = text
        if self.context and not missing(value := get(row, self.context)):
            made["context"] = _passages(value)
        return made

    def _stem(self, row: Mapping[str, Any]) -> Any:
        if len(self.question) == 1:
            return get(row, self.question[0])
        parts = [value for name in self.question if not missing(value := get(row, name))]
        return " ".join(map(str, parts))


@lru_cache(maxsize=100)
def _fixed(texts: tuple[str, ...]) -> Choices:
    return options.choices([Option(text, text) for text in texts])


@lru_cache(maxsize=1024)
def _letters(pairs: tuple[tuple[str, str], ...]) -> tuple[str | None, ...]:
    """The letters for the labels of columns."""
    return tuple(options.letter_of(label) for label, _ in pairs)


def get(row: Mapping[str, Any], path: str) -> Any:
    """The value at a path; None if there is none."""
    if path in row:
        return row[path]
    head, dot, rest = path.partition(".")
    inner = _inner(row.get(head)) if dot else None
    return get(inner, rest) if isinstance(inner, Mapping) else None


def _inner(value: Any) -> Any:
    """An object, parsed if `to_csv` wrote it as text."""
    return _parsed(value) if isinstance(value, str) and value[:1] == "{" else value


def has(row: Mapping[str, Any], path: str) -> bool:
    """Whether the path exists."""
    if path in row:
        return True
    head, dot, rest = path.partition(".")
    inner = _inner(row.get(head)) if dot else None
    return isinstance(inner, Mapping) and has(inner, rest)


def images(row: Any) -> str | None:
    """The first field of the row or its `data` that refers to an image, or None."""
    if not isinstance(row, Mapping):
        return None
    for name in _image_fields(tuple(row)):
        value = row[name]
        if name == "data":
            if found := images(value):
                return found
        elif not missing(value) and value not in ([], {}, "[]", False):
            return name
    return None


@lru_cache(maxsize=1024)
def _image_fields(names: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if isinstance(name, str) and (name.lower() in IMAGES or name == "data"))


def _short(value: Any) -> str | None:
    if missing(value):
        return None
    match value:
        case str():
            return value.strip()[:200]
        case float() if value.is_integer():
            return str(int(value))
        case int() | float():
            return str(value)
        case list() if all(isinstance(one, str) for one in value):
            return ", ".join(value)[:200] or None
        case _:
            return None


def _passages(value: Any) -> list[Any]:
    if isinstance(value, str) and isinstance(parsed := _parsed(value), list):
        value = parsed
    if isinstance(value, list | tuple):
        return [one for one in value if one != ""]
    return [value]


def _parsed(text: str) -> Any:
    try:
        return options.literal(text)
    except Unfit:
        return None
