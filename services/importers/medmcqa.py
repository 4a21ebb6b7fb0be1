"""Detects the base of MedMCQA's answers: 1 in the original, 0 in the Hugging Face copy, where questions without an
answer have -1. The base follows from a whole file, not from a row. Pure."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from services.importers.layouts.layout import Layout
from services.importers.reading import AnyLayout
from services.importers.rows import Refused

LETTERS = tuple("abcdABCD")


def counted(layout: Layout, rows: Callable[[], Iterator[Any]] | None, *, answered: bool = True) -> AnyLayout:
    """The layout with the base from all rows of the file. `rows`: None for a stream, whose base is unknown. Raises
    Refused."""
    if not answered:
        return layout
    if rows is None:
        raise Refused(
            "MedMCQA's cop in a stream may count from 0 or 1: set --format medmcqa-from-1 (the original) "
            "or medmcqa-from-0 (the Hugging Face copy)"
        )
    first = counts_from(rows())
    return layout if first is None else layout.numbered(first)


def counts_from(rows: Iterable[Any]) -> Literal[0, 1] | None:
    """The base of `cop`, from all rows, since a file may mix both; None if all are letters. Raises Refused if the file
    mixes both, or if the base is unclear."""
    seen: set[int | None] = set()
    lettered = False
    for row in rows:
        if isinstance(row, dict):
            cop = row.get("cop")
            seen.add(number(cop))
            lettered = lettered or (isinstance(cop, str) and cop in LETTERS)
    return _first(seen & {0, 1, 2, 3, 4}, lettered=lettered)


def _first(seen: set[int | None], *, lettered: bool) -> Literal[0, 1] | None:
    if {0, 4} <= seen:
        raise Refused("cop is 0 in some rows and 4 in others: the file mixes two forms of MedMCQA; split it")
    if not seen and lettered:
        return None
    if not seen:
        raise Refused("no row has an answer (cop): a test split, whose answers are not published")
    if not seen & {0, 4}:
        raise Refused(
            "cop is neither 0 nor 4 in any row, so it may count from 0 or 1: set --format "
            "medmcqa-from-1 (the original) or medmcqa-from-0 (the Hugging Face copy)"
        )
    return 0 if 0 in seen else 1


def number(cop: Any) -> int | None:
    """`cop` as a number; it is a text in CSV, and a float from pandas."""
    if isinstance(cop, str):
        try:
            cop = float(cop) if len(cop) <= 4 else None
        except ValueError:
            return None
    if isinstance(cop, float):
        return int(cop) if cop.is_integer() else None
    return cop if isinstance(cop, int) and not isinstance(cop, bool) else None
