"""`--columns`: which field of a row is which. Pure."""

from collections.abc import Mapping
from typing import Any

from services.contracts.question import LETTERS
from services.importers.layouts.layout import has
from services.importers.layouts.named import Named
from services.importers.rows import Refused

NAMES = ("question", "options", "answer", "context", "source", "id", "subject", *LETTERS)
"""What a column may be: a field of the contract, or the text of one option."""
INDEX, TEXT = "answer_index", "answer_text"

Columns = Mapping[str, str]
"""The table's own name of a column, by ours, as a path where it lies within another; a column that is not in it has
ours. `answer_index` is 0 or 1; `answer_text` the column, or nothing, where it is that of `answer`."""


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
            raise ValueError(f"{name!r}: NAME=COLUMN is wanted, with NAME one of {', '.join((*NAMES, INDEX, TEXT))}")
        else:
            made[name] = column
    if INDEX in made and TEXT in made:
        raise ValueError("an answer is a number or a text: answer_index and answer_text don't go together")
    return made


def check(header: Any, names: Columns) -> None:
    """Raises Refused where a table with this header lacks a column that is named."""
    if not isinstance(header, Mapping):
        return
    wanted = [column for name, column in names.items() if name != INDEX and column]
    if missing := [column for column in wanted if not has(header, column)]:
        raise Refused(f"there is no column {missing[0]}; there are {', '.join(map(str, header))}")


def named(name: str, names: Columns) -> Named:
    """The layout of rows whose columns have these names."""
    given = {ours: column for ours, column in names.items() if ours not in (INDEX, TEXT)}
    if TEXT in names:
        given[TEXT] = names[TEXT] or names.get("answer", "answer")
    return Named(name, given, int(names[INDEX]) if INDEX in names else None)
