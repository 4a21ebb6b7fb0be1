"""A row of a question file becomes a submission; what is none says which field is wrong, and why. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from services.contracts.codec import Malformed, encode, loads
from services.contracts.question import Question, Submission
from services.contracts.topics import QUESTION_SUBMITTED
from services.core import ids
from services.core.ports import Outgoing
from services.core.sizes import QUESTION_BYTES


@dataclass(frozen=True)
class Rejected:
    """A row that is no question."""

    line: int
    """From 1."""
    field: str
    """The first field that is wrong, such as `options.C`; `row` for the whole."""
    why: str
    row: bytes


def submissions(lines: Iterable[bytes], *, recipe_id: str | None = None) -> Iterator[Outgoing | Rejected]:
    """What each line comes to, in order; blank lines come to nothing. With a recipe, all ask for that one."""
    for number, line in enumerate(lines, start=1):
        if row := line.strip():
            yield submission(row, number, recipe_id=recipe_id)


def submission(row: bytes, line: int = 1, *, recipe_id: str | None = None) -> Outgoing | Rejected:
    """The message that hands in the row's question, or why there is none.

    Beyond the contract a row may give its one context passage as a string, and null for an absent field.
    """
    try:
        return outgoing(_question(row), recipe_id)
    except Malformed as error:
        return Rejected(line, "row", str(error), row)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "row"
        return Rejected(line, where, first["msg"].removeprefix("Value error, "), row)
    except (TypeError, RecursionError):  # orjson reads 1,024 levels and writes 254
        return Rejected(line, "row", "nested too deeply", row)


def outgoing(question: Question, recipe_id: str | None = None) -> Outgoing:
    """The message of a question: the same question, the same bytes."""
    case_id = ids.case_id(question)
    value = encode(Submission(case_id=case_id, question=question, recipe_id=recipe_id))
    return Outgoing(topic=QUESTION_SUBMITTED, key=case_id.encode(), value=value, headers={})


def _question(row: bytes) -> Question:
    if len(row) > QUESTION_BYTES:
        raise Malformed(f"a question is at most {QUESTION_BYTES:,} bytes of JSON, this is {len(row):,}")
    fields = loads(row)
    if not isinstance(fields, dict):
        raise Malformed("a row is a JSON object, this is not")
    if "recipe_id" in fields:  # kept as an unknown field it would name a recipe in vain
        raise Malformed("recipe_id: name a recipe for the whole file instead, with --recipe")
    return Question.model_validate(_as_contract(fields))


def _as_contract(fields: dict[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in fields.items() if value is not None}
    if isinstance(context := given.get("context"), str):
        given["context"] = [context] if context else []
    return given
