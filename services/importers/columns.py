"""`--columns`: maps the contract's fields to a row's columns. Pure."""

from collections.abc import Mapping
from typing import Any

from services.contracts.question import LETTERS
from services.importers.layouts.layout import has
from services.importers.layouts.named import Named
from services.importers.rows import Refused

NAMES = ("question", "options", "answer", "context", "source", "id", "subject", *LETTERS)
"""The names that columns can be mapped to: a field of the contract, or the text of one option."""
INDEX, TEXT = "answer_index", "answer_text"

Columns = Mapping[str, str]
"""Column names by contract name, as paths for nested ones; an unmapped column has the contract name. `answer_index` is
0 or 1. `answer_text` is the column, or empty if it is the column of `answer`."""


def columns(text: str) -> dict[str, str]:
    """`question=stem,answer=label,A=option_1` as a mapping. Raises ValueError."""
    made: dict[str, str] = {}
    for pair in text.split(","):
        name, equals, column = (part.strip() for part in pair.partition("="))
        if name == TEXT and not equals:
            made[TEXT] = ""
        elif name == INDEX:
            if column not in ("0", "1"):
                raise ValueError("answer_index is 0 or 1: the number of the first option")
            made[INDEX] = column
        elif name not in (*NAMES, TEXT) or not column:
            raise ValueError(f"{name!r}: must be NAME=COLUMN, with NAME one of {', '.join((*NAMES, INDEX, TEXT))}")
        else:
            made[name] = column
    if INDEX in made and TEXT in made:
        raise ValueError("answer_index and answer_text exclude each other: an answer is a number or a text")
    return made


def check(header: Any, names: Columns) -> None:
    """Raises Refused if a mapped column is missing in this header."""
    if not isinstance(header, Mapping):
        return
    wanted = [column for name, column in names.items() if name != INDEX and column]
    if missing := [column for column in wanted if not has(header, column)]:
        raise Refused(f"no column {missing[0]}; the columns are {', '.join(map(str, header))}")


def named(name: str, names: Columns) -> Named:
    """The layout of rows with these column names."""
    given = {ours: column for ours, column in names.items() if ours not in (INDEX, TEXT)}
    if TEXT in names:
        given[TEXT] = names[TEXT] or names.get("answer", "answer")
    return Named(name, given, int(names[INDEX]) if INDEX in names else None)
