"""JSON bytes to messages and back. Same message, same bytes."""

import re
from typing import Any, TypeVar

import orjson
import pydantic_core
from pydantic import ValidationError

from services.contracts.base import MAJOR, Message, Value

M = TypeVar("M", bound=Message)

_LONG_INTEGER = re.compile(rb"\d{19}")
_INT64 = range(-(2**63), 2**64)


class Malformed(ValueError):
    """The bytes are no such message, and never will be."""


class UnknownVersion(ValueError):
    """A message of another major version than this code reads: a newer reader may know it."""


def encode(value: Value) -> bytes:
    """The bytes of a message or value: known fields first, in the order of their definition, then unknown ones."""
    return orjson.dumps(value.model_dump())


def decode(kind: type[M], data: bytes) -> M:
    """The message that these bytes hold, unknown fields included.

    Raises Malformed (not JSON; a field missing or of the wrong type, and "3" is no integer; an integer of more than 64
    bits; a number that is not finite; broken Unicode; some 200 levels of nesting), UnknownVersion for another major
    version.
    """
    raw = loads(data)
    if not isinstance(raw, dict):
        raise Malformed(f"a {kind.__name__} is a JSON object, this is not")
    _check_version(raw.get("version"))
    try:
        return kind.model_validate_json(data, strict=True)
    except ValidationError as error:
        raise Malformed(explain(error)) from error


def loads(data: bytes | str) -> Any:
    """Parse JSON. Raises Malformed where it is none, or holds what can't be written back as it was."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error}") from error
    text = data.encode() if isinstance(data, str) else data
    if _LONG_INTEGER.search(text):  # orjson turns larger integers into floats in silence: look again, exactly
        try:
            exact = pydantic_core.from_json(text)
        except ValueError as error:  # orjson took it: what is left is its depth
            raise Malformed(f"not JSON that can be read back: {error}") from error
        _refuse_large_integers(exact)
    return value


def peek(data: bytes | str) -> Any:
    """Parse JSON to look at, never to be written back: a third of what `loads` costs a large case. Raises Malformed."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error}") from error


def canonical(value: Any) -> bytes:
    """The bytes that stand for a JSON value in a digest: sorted keys, no spaces."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def explain(error: ValidationError) -> str:
    """A validation error in a line: which field, and what was wrong with it; never the input itself."""
    parts = (f"{'.'.join(str(p) for p in e['loc']) or 'message'}: {e['msg']}" for e in error.errors(include_url=False))
    return "; ".join(parts)[:2_000]


def _check_version(version: Any) -> None:
    if not isinstance(version, str) or not re.fullmatch(r"[0-9]{1,4}\.[0-9]{1,4}", version):
        raise Malformed("version: must be 'major.minor'")
    if int(version.split(".")[0]) != MAJOR:
        raise UnknownVersion(
            f"schema version {version}: this service reads {MAJOR}.x; deploy a newer one, then redrive"
        )


def _refuse_large_integers(value: Any) -> None:
    if isinstance(value, dict):
        for item in value.values():
            _refuse_large_integers(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_large_integers(item)
    elif isinstance(value, int) and value not in _INT64:
        raise Malformed("an integer of more than 64 bits")
