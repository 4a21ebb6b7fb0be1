"""Encode messages as JSON bytes and decode them. The same message yields the same bytes."""

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
    """The bytes are not a valid message of this type."""


class UnknownVersion(ValueError):
    """The message has another major version; a newer reader may accept it."""


def encode(value: Value) -> bytes:
    """Encode a message or value: known fields in the order of their definition, then unknown fields."""
    return orjson.dumps(value.model_dump())


def decode(kind: type[M], data: bytes) -> M:
    """Decode a message, including unknown fields.

    Raises Malformed (not JSON; a field missing or of the wrong type, where "3" is not an integer; an integer of more
    than 64 bits; a number that is not finite; broken Unicode; some 200 levels of nesting), or UnknownVersion for
    another major version.
    """
    raw = loads(data)
    if not isinstance(raw, dict):
        raise Malformed(f"a {kind.__name__} must be a JSON object")
    _check_version(raw.get("version"))
    try:
        return kind.model_validate_json(data, strict=True)
    except ValidationError as error:
        raise Malformed(explain(error)) from error


def loads(data: bytes | str) -> Any:
    """Parse JSON. Raises Malformed for invalid JSON, and for values that cannot be written back unchanged."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error}") from error
    text = data.encode() if isinstance(data, str) else data
    if _LONG_INTEGER.search(text):  # orjson silently converts larger integers to floats: parse again, exactly
        try:
            exact = pydantic_core.from_json(text)
        except ValueError as error:  # orjson accepted it, so only its depth can be wrong
            raise Malformed(f"JSON that cannot be read back: {error}") from error
        _refuse_large_integers(exact)
    return value


def peek(data: bytes | str) -> Any:
    """Parse JSON that is never written back, at a third of the cost of `loads` for a large case. Raises Malformed."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error}") from error


def canonical(value: Any) -> bytes:
    """The canonical form of a JSON value for digests: sorted keys, no spaces."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def explain(error: ValidationError) -> str:
    """A validation error in one line: each field and its problem, never the input itself."""
    parts = (
        f"{'.'.join(str(p) for p in each['loc']) or 'message'}: {each['msg'].removeprefix('Value error, ')}"
        for each in error.errors(include_url=False)
    )
    return "; ".join(parts)[:2_000]


def _check_version(version: Any) -> None:
    if not isinstance(version, str) or not re.fullmatch(r"[0-9]{1,4}\.[0-9]{1,4}", version):
        raise Malformed("version: must be 'major.minor'")
    if int(version.split(".")[0]) != MAJOR:
        raise UnknownVersion(
            f"schema version {version}: this service reads {MAJOR}.x; deploy a newer service, then redrive"
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
