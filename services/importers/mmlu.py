"""MMLU: CSV without a header, of question, four options, letter; the subject is in the file's name. Pure."""

import re
from functools import partial
from typing import Any

from services.importers.rows import Fields, Parse, Unfit

LETTERS = "ABCD"
CELLS = 6


def recognises(cells: Any) -> bool:
    """Whether these are the cells of an MMLU row; a header's last cell is no letter of an answer."""
    return isinstance(cells, list) and len(cells) == CELLS and cells[-1] in tuple(LETTERS)


def subject(name: str) -> str | None:
    """The subject in a file name such as `anatomy_test.csv`."""
    found = re.match(r"(\w+)_(?:dev|val|test)\.csv", name)
    return found[1] if found else None


def of_subject(subject: str | None) -> Parse:
    """The parser for a file of this subject."""
    return partial(_parse, subject)


def _parse(subject: str | None, cells: Any) -> Fields:
    if not isinstance(cells, list) or len(cells) != CELLS:
        raise Unfit("row", f"must have {CELLS} cells: question, four options, letter")
    question, *options, letter = cells
    if letter not in tuple(LETTERS):
        raise Unfit("answer", "the last cell must be A, B, C or D")
    return {
        "question": question,
        "options": dict(zip(LETTERS, options, strict=True)),
        "answer": letter,
        "source": "mmlu",
        "subject": subject,
    }
