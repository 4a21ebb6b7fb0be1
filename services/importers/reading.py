"""Chooses the layout of a row: the file's, or else another that fits. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from services.importers.layouts.layout import images
from services.importers.rows import Fields, Unfit

MEMORY: Final = 1_000
"""The most sets of names that are cached."""


class AnyLayout(Protocol):
    """The interface of layouts."""

    @property
    def name(self) -> str:
        """The name for users."""

    @property
    def specific(self) -> bool:
        """Whether its result on a row with its fields is final."""

    def may_have(self, names: tuple[Any, ...]) -> bool:
        """Whether a row with these names may have this layout: a quick check before `has_fields`."""

    def has_fields(self, row: Any) -> bool:
        """Whether the row has the fields of this layout."""

    def recognises(self, row: Any) -> bool:
        """Whether `parse` succeeds for the row."""

    def parse(self, row: Any) -> Fields:
        """Raises Unfit."""

    def unanswered(self, row: Any) -> Fields:
        """Raises Unfit."""


class RowParser:
    """Parses rows with the file's layout first, and then with others before a row is rejected. Specific layouts come
    before general ones, and their result on a row with their fields is final."""

    def __init__(self, first: AnyLayout, others: Sequence[AnyLayout], *, source: str | None, answered: bool) -> None:
        """`source` is set in every question. Not `answered`: questions without an answer are accepted."""
        more = [layout for layout in others if layout.name != first.name]
        narrow = [layout for layout in more if layout.specific]
        wide = [layout for layout in more if not layout.specific]
        self._layouts = [first, *narrow, *wide] if first.specific else [*narrow, first, *wide]
        self._last = others[-1]
        self._source = source
        self._answered = answered
        self._fitting: dict[tuple[Any, ...], list[AnyLayout]] = {}

    def __call__(self, row: Any) -> Fields:
        """Parse a row to a question. Raises Unfit."""
        if isinstance(row, Mapping) and "recipe_id" in row:  # as an unknown field it would have no effect
            raise Unfit("row", "has recipe_id: set the recipe for the whole file with --recipe instead")
        made = self._parsed(row)
        if self._answered and (image := images(row)):
            raise Unfit(image, "the question needs an image, which is not supported")
        if self._source:
            made["source"] = self._source
        return made

    def _parsed(self, row: Any) -> Fields:
        refusal: Unfit | None = None
        for layout in self._candidates(row):
            if not layout.has_fields(row):
                continue
            try:
                return layout.parse(row) if self._answered else layout.unanswered(row)
            except Unfit as unfit:
                if layout.specific:
                    raise
                if refusal is None or layout is self._last:
                    refusal = unfit
        if refusal is not None:
            raise refusal
        return self._last.parse(row) if self._answered else self._last.unanswered(row)

    def _candidates(self, row: Any) -> Sequence[AnyLayout]:
        """The layouts that rows with these names may have; cached, since most rows of a file have the same names."""
        if not isinstance(row, Mapping):
            return self._layouts
        names = tuple(row)
        if names not in self._fitting:
            if len(self._fitting) >= MEMORY:
                self._fitting.clear()
            self._fitting[names] = [layout for layout in self._layouts if layout.may_have(names)]
        return self._fitting[names]


def fields_of(row: Any) -> str:
    """The names of a row's fields, for error texts."""
    if isinstance(row, Mapping):
        return ", ".join(map(str, row))[:500]
    return f"{len(row)} cells without names" if isinstance(row, list) else "no fields"
