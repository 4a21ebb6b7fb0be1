"""From which number MedMCQA's answers count: 1 in the original, 0 in the Hugging Face copy, where questions without an
answer have -1. No row says which: the file does. Pure."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from services.importers.layouts.layout import Layout
from services.importers.reading import AnyLayout
from services.importers.rows import Refused

LETTERS = tuple("abcdABCD")


def counted(layout: Layout, rows: Callable[[], Iterator[Any]] | None, *, answered: bool = True) -> AnyLayout:
    """The layout with its first number, from all rows of the file; None: a stream, which doesn't tell. Raises
    Refused."""
    if not answered:
        return layout
    if rows is None:
        raise Refused(
            "a stream doesn't tell from which number MedMCQA's cop counts: say --format medmcqa-from-1 (the original) "
            "or medmcqa-from-0 (the Hugging Face copy)"
        )
    first = counts_from(rows())
    return layout if first is None else layout.numbered(first)


def counts_from(rows: Iterable[Any]) -> Literal[0, 1] | None:
    """From which number `cop` counts: all rows are looked at, since a file may hold both forms; None where all are
    letters. Raises Refused where both are there, and where nothing tells."""
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
        raise Refused("cop is 0 in some rows and 4 in others: two forms of MedMCQA in one; part them")
    if not seen and lettered:
        return None
    if not seen:
        raise Refused("no row has an answer (cop): a test split, whose answers are not published")
    if not seen & {0, 4}:
        raise Refused(
            "cop is neither 0 nor 4 in any row, so nothing says from which number it counts: say --format "
            "medmcqa-from-1 (the original) or medmcqa-from-0 (the Hugging Face copy)"
        )
    return 0 if 0 in seen else 1


def number(cop: Any) -> int | None:
    """`cop` as a number; CSV has it as text, pandas as a float."""
    if isinstance(cop, str):
        try:
            cop = float(cop) if len(cop) <= 4 else None
        except ValueError:
            return None
    if isinstance(cop, float):
        return int(cop) if cop.is_integer() else None
    return cop if isinstance(cop, int) and not isinstance(cop, bool) else None
