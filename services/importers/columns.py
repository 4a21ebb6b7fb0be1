"""Rows with named columns: plain CSV, JSON lines, Parquet. Pure.

Only what the contract knows is taken: of a table's other columns nobody can say which give the answer away.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from services.contracts.codec import Malformed, loads
from services.contracts.question import LETTERS
from services.importers.rows import Fields, Parse, Refused, Unfit

NAMES = ("question", "options", "answer", "context", "source", "id", "subject", *LETTERS)
"""What a column may be: a field of the contract, or the text of one option."""

Columns = Mapping[str, str]
"""The table's own name of a column, by ours; a column that is not in it has ours."""


def columns(text: str) -> dict[str, str]:
    """`question=stem,answer=label,A=option_1` as a mapping. Raises ValueError."""
    pairs = [pair.partition("=") for pair in text.split(",")]
    if wrong := [name for name, _, column in pairs if name not in NAMES or not column]:
        raise ValueError(f"{wrong[0]!r}: NAME=COLUMN is wanted, with NAME one of {', '.join(NAMES)}")
    return {name: column for name, _, column in pairs}


def recognises(row: Any) -> bool:
    """Whether the row has our column names, with options as a list or a column each."""
    if not isinstance(row, dict) or not {"question", "answer"} <= row.keys():
        return False
    return {"A", "B"} <= row.keys() or isinstance(row.get("options"), list | str | dict)


def check(header: Any, names: Columns) -> None:
    """Raises Refused where a table with this header can have no questions."""
    if not isinstance(header, Mapping):
        return
    wanted = {"question": "question", "answer": "answer", **names}
    if missing := [column for column in wanted.values() if column not in header]:
        raise Refused(
            f"there is no column {missing[0]}; there are {', '.join(map(str, header))}: say which is which, as in "
            "--columns question=stem,A=first,B=second,answer=label"
        )


def named(names: Columns) -> Parse:
    """The parser for rows whose columns have these names."""
    return partial(_parse, {name: names.get(name, name) for name in NAMES})


def _parse(names: Columns, row: Any) -> Fields:
    if not isinstance(row, Mapping):
        raise Unfit("row", "a row is an object with named fields, this is not")
    given = {name: row[column] for name, column in names.items() if row.get(column) not in (None, "")}
    fields: Fields = {name: given[name] for name in ("question", "source", "subject") if name in given}
    if "id" in given:
        fields["id"] = str(given["id"])
    if "context" in given:
        fields["context"] = [given["context"]] if isinstance(given["context"], str) else given["context"]
    return fields | {"options": _options(given), "answer": _letter(given.get("answer"))}


def _options(given: Mapping[str, Any]) -> dict[Any, Any]:
    """By letter: from one column (an object, a list, or either as JSON text), else from a column each."""
    options = given.get("options", {letter: given[letter] for letter in LETTERS if letter in given})
    if isinstance(options, str):
        try:
            options = loads(options)
        except Malformed as error:
            raise Unfit("options", f"as one text they must be JSON: {error}") from error
    if isinstance(options, list):
        if len(options) > len(LETTERS):
            raise Unfit("options", f"at most {len(LETTERS)}, these are {len(options)}")
        options = dict(zip(LETTERS, options, strict=False))
    if not isinstance(options, dict):
        raise Unfit("options", "an object of texts by letter, or a list of texts, is wanted")
    return {letter: text for letter, text in options.items() if text is not None}


def _letter(answer: Any) -> str:
    if isinstance(answer, str) and answer.strip().upper() in tuple(LETTERS):
        return answer.strip().upper()
    raise Unfit("answer", "must be a letter: of a number nobody can tell whether it counts from 0 or from 1")
