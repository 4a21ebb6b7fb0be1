"""MedMCQA: options `opa` to `opd`; `cop` is the answer's number, from 1 in the original JSON and from 0 in the Hugging
Face copy, where questions without an answer have -1. No row says which: the file does. Pure."""

from collections.abc import Iterable
from functools import partial
from typing import Any, Literal

from services.importers.rows import Fields, Parse, Refused, Unfit

OPTIONS = {"A": "opa", "B": "opb", "C": "opc", "D": "opd"}
LETTERS = "ABCD"
AS_TEXT = {str(number): number for number in range(-1, 5)}


def recognises(row: Any) -> bool:
    """Whether the row is MedMCQA's, with or without an answer."""
    return isinstance(row, dict) and {"question", *OPTIONS.values()} <= row.keys()


def counts_from(rows: Iterable[Any]) -> Literal[0, 1]:
    """From which number `cop` counts: all rows are looked at, since a file may hold both forms. Raises Refused where it
    does, and where nothing tells."""
    seen = {number(row.get("cop")) for row in rows if isinstance(row, dict)} & {0, 1, 2, 3, 4}
    if {0, 4} <= seen:
        raise Refused("cop is 0 in some rows and 4 in others: two forms of MedMCQA in one; part them")
    if not seen:
        raise Refused("no row has an answer (cop): a test split, whose answers are not published")
    if not seen & {0, 4}:
        raise Refused(
            "cop is neither 0 nor 4 in any row, so it can't be told from which number it counts: say --format "
            "medmcqa-from-1 (the original) or medmcqa-from-0 (the Hugging Face copy)"
        )
    return 0 if 0 in seen else 1


def counting_from(first: Literal[0, 1]) -> Parse:
    """The parser for rows whose `cop` counts from this number."""
    return partial(_parse, first)


def number(cop: Any) -> int | None:
    """`cop` as a number; CSV has it as text."""
    if isinstance(cop, str):
        return AS_TEXT.get(cop)
    return cop if isinstance(cop, int) and not isinstance(cop, bool) else None


def _parse(first: int, row: Any) -> Fields:
    if not isinstance(row, dict):
        raise Unfit("row", "a row is a JSON object, this is not")
    cop = number(row.get("cop"))
    if cop == -1 or row.get("cop") is None:
        raise Unfit("cop", "the row has no answer: a test split's are not published")
    if cop is None or cop - first not in range(len(LETTERS)):
        raise Unfit("cop", f"must be a number from {first} to {first + 3}, as in the rest of the file")
    return {
        "question": row.get("question"),
        "options": {letter: row.get(column) for letter, column in OPTIONS.items()},
        "answer": LETTERS[cop - first],
        "source": "medmcqa",
        "id": row.get("id"),
        "subject": row.get("subject_name") or None,
    }
