"""A row of a question file becomes a submission; what is none says which field is wrong, and why. Pure."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError

from services.contracts.codec import Malformed, encode, loads
from services.contracts.question import Question, Submission
from services.contracts.topics import QUESTION_SUBMITTED
from services.core.case import ids
from services.core.case.sizes import QUESTION_BYTES
from services.core.messages import OutgoingRecord

Fields = dict[str, Any]
"""A question's, by the names of the contract."""

Parse = Callable[[Any], Fields]
"""What a format makes of a row. Raises Unfit. What it returns is validated against the contract afterwards."""

Check = Callable[[Question], str | None]
"""What there is to say against a question that is read all the same. Raises Unfit where it isn't worth a model call."""


NO_UTF8 = "is no UTF-8: if the file has another encoding, say --encoding"


class Unfit(ValueError):
    """A row that is no question."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


class Refused(Exception):
    """A file, or a topic, of which no row may be taken: why, and what to do."""


class Row(NamedTuple):
    """A row as it was read."""

    line: int | str
    """From 1: the line, of a CSV record its first; in Parquet and JSON the number; in a topic PARTITION/OFFSET."""
    value: Any
    """Bytes of JSON, a CSV's cells, a mapping by column; or Unfit, where it could not be read."""
    key: str | None = None
    """The name under which an object holds it; the question's id where the row has none."""


@dataclass(frozen=True)
class Rejected:
    """A row that is no question."""

    line: int | str
    """As in Row."""
    field: str
    """The first field that is wrong, such as `options.C`; `row` for the whole."""
    why: str
    row: Any
    """As it came; None where it could not be read."""


def submissions(lines: Iterable[bytes], *, recipe_id: str | None = None) -> Iterator[OutgoingRecord | Rejected]:
    """The record or the rejection of each line, in order; blank lines are skipped. With a recipe, all ask for it."""
    for number, line in enumerate(lines, start=1):
        if row := line.strip():
            yield submission(row, number, recipe_id=recipe_id)


def submission(row: bytes, line: int = 1, *, recipe_id: str | None = None) -> OutgoingRecord | Rejected:
    """The message that submits the row's question, or why there is none.

    Beyond the contract a row may give its one context passage as a string, and null for an absent field.
    """
    return message(Row(line, row), contract, recipe_id)


@dataclass(frozen=True)
class Flag:
    """A question that is submitted, with something to say against it."""

    line: int | str
    why: str


def message(
    row: Row,
    parse: Parse,
    recipe_id: str | None = None,
    *,
    check: Check | None = None,
    flagged: Callable[[Flag], None] = lambda flag: None,
) -> OutgoingRecord | Rejected:
    """What a row of this format comes to."""
    try:
        question = _question(row, parse)
        if check and (why := check(question)):
            flagged(Flag(row.line, why))
        return _sized(row.value, outgoing(question, recipe_id))
    except Unfit as unfit:
        return Rejected(row.line, unfit.field, unfit.why, None if unfit is row.value else row.value)
    except Malformed as error:
        return Rejected(row.line, "row", str(error), row.value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "row"
        why = NO_UTF8 if first["type"] == "string_unicode" else first["msg"].removeprefix("Value error, ")
        return Rejected(row.line, where, why, row.value)
    except (TypeError, RecursionError):  # orjson reads 1,024 levels and writes 254
        return Rejected(row.line, "row", "nested too deeply", row.value)


def loaded(value: Any) -> Any:
    """A row's value, parsed where it is bytes. Raises Malformed, and Unfit where it could not be read."""
    if isinstance(value, Unfit):
        raise value
    if not isinstance(value, bytes):
        return value
    try:
        return loads(value)
    except Malformed:
        return _lenient(value)


def _lenient(line: bytes) -> Any:
    """A line of JSON with a comma behind it, as in a list, or with Python's NaN, which becomes null. Raises
    Malformed."""
    if line.endswith(b","):
        return loaded(line[:-1])
    if b"NaN" in line or b"Infinity" in line:
        with suppress(ValueError, RecursionError):
            return loads(orjson.dumps(json.loads(line, parse_constant=lambda name: None)))
    return loads(line)


def contract(row: Any) -> Fields:
    """A question in the contract's own form: fields that the contract doesn't know travel along."""
    if not isinstance(row, dict):
        raise Unfit("row", "a row is a JSON object, this is not")
    if "recipe_id" in row:  # kept as an unknown field it would name a recipe in vain
        raise Unfit("row", "recipe_id: name a recipe for the whole file instead, with --recipe")
    given = {name: value for name, value in row.items() if value is not None}
    if isinstance(context := given.get("context"), str):
        given["context"] = [context] if context else []
    return given


def outgoing(question: Question, recipe_id: str | None = None) -> OutgoingRecord:
    """The message of a question: the same question, the same bytes."""
    case_id = ids.case_id(question)
    value = encode(Submission(case_id=case_id, question=question, recipe_id=recipe_id))
    return OutgoingRecord(topic=QUESTION_SUBMITTED, key=case_id.encode(), value=value, headers={})


def _question(row: Row, parse: Parse) -> Question:
    if isinstance(row.value, bytes):
        _check_size(len(row.value))
    fields = parse(loaded(row.value))
    if row.key is not None and fields.get("id") is None:
        fields["id"] = row.key
    return Question.model_validate(fields)


def _sized(value: Any, made: OutgoingRecord) -> OutgoingRecord:
    if not isinstance(value, bytes):
        _check_size(len(made.value))
    return made


def _check_size(size: int) -> None:
    if size > QUESTION_BYTES:
        raise Malformed(f"a question is at most {QUESTION_BYTES:,} bytes of JSON, this is {size:,}")
