"""Which layout a row is of: its file's, or else another that fits. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from services.importers.layouts.layout import images
from services.importers.rows import Fields, Unfit

Change = Callable[[Fields], Fields]


class AnyLayout(Protocol):
    """What every layout can do."""

    @property
    def name(self) -> str:
        """By which users name it."""

    @property
    def specific(self) -> bool:
        """Whether its word on a row with its fields is final."""

    def has_fields(self, row: Any) -> bool:
        """Whether the row has what tells it apart."""

    def recognises(self, row: Any) -> bool:
        """Whether `parse` makes a question of the row."""

    def parse(self, row: Any) -> Fields:
        """Raises Unfit."""

    def unanswered(self, row: Any) -> Fields:
        """Raises Unfit."""


class RowParser:
    """A file's layout first; a row that it doesn't fit is tried against the others before it is refused."""

    def __init__(self, first: AnyLayout, others: Sequence[AnyLayout], *, source: str | None, answered: bool) -> None:
        """`source` stands in every question. Not `answered`: a question without an answer is one too."""
        self._first = first
        self._others = others
        self._source = source
        self._answered = answered

    def __call__(self, row: Any) -> Fields:
        """The question of a row. Raises Unfit."""
        if isinstance(row, Mapping) and "recipe_id" in row:  # kept as an unknown field it would name a recipe in vain
            raise Unfit("row", "recipe_id: name a recipe for the whole file instead, with --recipe")
        made = self._parsed(row)
        if self._answered and (image := images(row)):
            raise Unfit(image, "the question needs a picture, which isn't read")
        if self._source:
            made["source"] = self._source
        return made

    def _parsed(self, row: Any) -> Fields:
        refusal: Unfit | None = None
        for layout in (self._first, *self._others):
            if not layout.has_fields(row):
                continue
            try:
                return layout.parse(row) if self._answered else layout.unanswered(row)
            except Unfit as unfit:
                if layout.specific:
                    raise
                refusal = unfit
        if refusal is not None:
            raise refusal
        return self._first_of_none(row)

    def _first_of_none(self, row: Any) -> Fields:
        """Of a row that no layout has the fields of: without an answer it may be a question all the same."""
        if self._answered:
            return self._others[-1].parse(row)
        return self._others[-1].unanswered(row)


def fields_of(row: Any) -> str:
    """The names of a row's fields, for people."""
    if isinstance(row, Mapping):
        return ", ".join(map(str, row))[:500]
    return f"{len(row)} cells without names" if isinstance(row, list) else "no fields"
