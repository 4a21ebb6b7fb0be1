"""Turns a row of a question file into a submission, or a rejection with field and reason. Pure."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError

from services.contracts.codec import Malformed, encode, loads
from services.contracts.question import Question, Submission
from services.contracts.topics import QUESTION_SUBMITTED, Lane, in_lane
from services.core import ids
from services.core.case.sizes import QUESTION_BYTES
from services.core.messages import OutgoingRecord

Fields = dict[str, Any]
"""The fields of a question, by contract name."""

Parse = Callable[[Any], Fields]
"""Parses a row of a format; the result is then validated against the contract. Raises Unfit."""

Check = Callable[[Question], str | None]
"""The reason to flag a question, or None. Raises Unfit if it is not worth a model call."""


NO_UTF8 = "is not UTF-8: if the file has another encoding, set --encoding"


class Unfit(ValueError):
    """The row is not a valid question."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


class Refused(Exception):
    """A file or topic is refused as a whole. The text has the reason and the remedy."""


class Row(NamedTuple):
    """A row as read from a file or topic."""

    line: int | str
    """From 1: the line (for CSV the first of the record); the row number in Parquet and JSON; PARTITION/OFFSET in a
    topic."""
    value: Any
    """JSON as bytes, the cells of CSV, or a mapping by column; Unfit if unreadable."""
    key: str | None = None
    """The row's key in an object of rows; the question's id if the row has none."""


@dataclass(frozen=True)
class Rejected:
    """The row is not a valid question."""

    line: int | str
    """As in Row."""
    field: str
    """The first field that is wrong, such as `options.C`; `row` for the whole."""
    why: str
    row: Any
    """The row as read; None if unreadable."""


def submissions(lines: Iterable[bytes], *, recipe_id: str | None = None) -> Iterator[OutgoingRecord | Rejected]:
    """The message or rejection of each line, in order; blank lines are skipped. `recipe_id` is set in all
    submissions."""
    for number, line in enumerate(lines, start=1):
        if row := line.strip():
            yield submission(row, number, recipe_id=recipe_id)


def submission(row: bytes, line: int = 1, *, recipe_id: str | None = None) -> OutgoingRecord | Rejected:
    """The message that submits the row's question, or the rejection.

    In addition to the contract, a single context passage may be a string, and an absent field null.
    """
    return message(Row(line, row), contract, recipe_id)


@dataclass(frozen=True)
class Flag:
    """A question that is submitted and flagged, with the reason."""

    line: int | str
    why: str


def message(
    row: Row,
    parse: Parse,
    recipe_id: str | None = None,
    *,
    lane: Lane = "live",
    check: Check | None = None,
    flagged: Callable[[Flag], None] = lambda flag: None,
) -> OutgoingRecord | Rejected:
    """The message or rejection of a row of this format."""
    try:
        question = _question(row, parse)
        if check and (why := check(question)):
            flagged(Flag(row.line, why))
        return _sized(row.value, outgoing(question, recipe_id, lane))
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
    """A row's value, parsed if it is bytes. Raises Malformed, and Unfit if it is unreadable."""
    if isinstance(value, Unfit):
        raise value
    if not isinstance(value, bytes):
        return value
    try:
        return loads(value)
    except Malformed:
        return _lenient(value)


def _lenient(line: bytes) -> Any:
    """Parse a line of JSON with a trailing comma, or with Python's NaN, which becomes null. Raises Malformed."""
    if line.endswith(b","):
        return loaded(line[:-1])
    if b"NaN" in line or b"Infinity" in line:
        with suppress(ValueError, RecursionError):
            return loads(orjson.dumps(json.loads(line, parse_constant=lambda name: None)))
    return loads(line)


def contract(row: Any) -> Fields:
    """Parse a question in the contract's form; unknown fields are kept."""
    if not isinstance(row, dict):
        raise Unfit("row", "must be a JSON object")
    if "recipe_id" in row:  # as an unknown field it would have no effect
        raise Unfit("row", "has recipe_id: set the recipe for the whole file with --recipe instead")
    given = {name: value for name, value in row.items() if value is not None}
    if isinstance(context := given.get("context"), str):
        given["context"] = [context] if context else []
    return given


def outgoing(question: Question, recipe_id: str | None = None, lane: Lane = "live") -> OutgoingRecord:
    """The message of a question. Deterministic: the same question gives the same bytes."""
    case_id = ids.case_id(question)
    value = encode(Submission(case_id=case_id, question=question, recipe_id=recipe_id))
    return OutgoingRecord(topic=in_lane(QUESTION_SUBMITTED, lane), key=case_id.encode(), value=value, headers={})


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
        raise Malformed(f"the question has {size:,} bytes of JSON, at most {QUESTION_BYTES:,} are allowed")
