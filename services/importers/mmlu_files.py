"""Recognises MMLU's CSV files, which have no header, by the shape of records and the file name. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.importers.layouts.layout import Layout
from services.importers.rows import Fields, Unfit

LETTERS: Final = "ABCD"
CELLS: Final = 6
_ID: Final = re.compile(r"[A-Za-z]{0,8}[-_ ]?\d{1,12}|[0-9a-fA-F]{8}-[0-9a-fA-F-]{8,36}")
_NAME: Final = re.compile(r"(\w+)_(?:dev|val|test)\.(?:csv|tsv)", re.IGNORECASE)


@dataclass(frozen=True)
class OfFile:
    """MMLU's layout in the file of a subject."""

    layout: Layout
    subject: str | None
    name = "mmlu"
    specific = True

    def may_have(self, names: tuple[Any, ...]) -> bool:
        """False: MMLU's rows have no names."""
        return False

    def has_fields(self, row: Any) -> bool:
        """Whether the row has MMLU's cells."""
        return self.layout.has_fields(row)

    def recognises(self, row: Any) -> bool:
        """Whether `parse` succeeds for the row."""
        return isinstance(row, list) and is_record(row) and self.layout.recognises(row)

    def parse(self, row: Any) -> Fields:
        """Parse a row to a question. Raises Unfit."""
        if isinstance(row, list) and is_shifted(row):
            raise Unfit("row", "its first cell is an id, or its second one the question: add a header line")
        return {**self.layout.parse(row), "subject": self.subject}

    def unanswered(self, row: Any) -> Fields:
        """Parse a row without its answer. Raises Unfit."""
        return {**self.layout.unanswered(row), "subject": self.subject}


def of_file(layout: Layout, name: str) -> OfFile:
    """The layout for a file such as `anatomy_test.csv`, whose name contains the subject."""
    found = _NAME.match(name)
    return OfFile(layout, found[1] if found else None)


def is_record(cells: Sequence[str]) -> bool:
    """Whether these are the cells of an MMLU record: question, four options, letter."""
    return len(cells) == CELLS and cells[-1].strip() in tuple(LETTERS) and not is_shifted(cells)


def is_shifted(cells: Sequence[str]) -> bool:
    """Whether an id is in the question's cell, so that all options are shifted by one."""
    first, second = cells[0].strip(), cells[1].strip() if len(cells) > 1 else ""
    return bool(_ID.fullmatch(first)) or (second.endswith("?") and not first.endswith("?") and len(first) < len(second))
