"""Maps an error response to an exception. Pure. The server's text is matched but never passed on, as it may quote the
prompt."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, assert_never

import orjson

from services.core.errors import ModelAway, Reject, Retry
from services.llm import chat_json
from services.llm.trouble_table import Row, row_of
from services.llm.troubles import Busy, Refuses, TimedOut

RETRY_AFTER_MOST_S = 60.0
"""The longest Retry-After in seconds: a server that is back must not stay unused."""

_READ_BYTES = 65_536
"""Bytes of an error's body that are read."""
_READ_CHARS = 4_096
"""Characters of an error's message that are read."""
_IDENTIFIER = re.compile(r"[A-Za-z_]{1,40}")
_INNER_STATUS = re.compile(r"[45]\d\d")
_UNIT = r"ms|s|secs?|seconds?|m|mins?|minutes?|h|hours?"
_PART = re.compile(rf"(\d[\d.]{{0,20}}|\.\d{{1,20}}) {{0,3}}({_UNIT})?", re.ASCII)
_DURATION = re.compile(rf"[+-]?(?:(?:\d[\d.]{{0,20}}|\.\d{{1,20}}) {{0,3}}(?:{_UNIT})? {{0,3}}){{1,4}}", re.ASCII)
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_STATUS_NAMES = ("code", "type", "status", "status_code", "error_code", "error_type")
"""Fields that hold a status or the name of an error."""
_SAYS_ERROR = {"code", "errors", "error_code", "error_type", "detail"}
"""Fields of an error that stands alone, without an object `error` around it."""
_DEPTH = 4
"""Envelopes around an error: `error`, `errors`, `detail`."""


def trouble(status: int, data: bytes, *, headers: Mapping[str, str], now: float) -> ModelAway | Retry | Reject:
    """The exception for this response. `headers` with lower-case names; `now` in Unix seconds."""
    holders = _holders(data)
    codes = _named(holders)
    inner = _inner_status(status, codes)
    row = row_of(inner, codes, " ".join(map(_message, holders)))
    said = next((name for name in codes if _IDENTIFIER.fullmatch(name)), None)
    parameter = next((holder["param"] for holder in holders if "param" in holder), None)
    about = f": {parameter}" if isinstance(parameter, str) and _IDENTIFIER.fullmatch(parameter) else ""
    http = f"HTTP {status}" if inner == status else f"HTTP {status} with error {inner}"
    what = f"{http} ({said}{about})" if said else http
    return _trouble(row, f"{what}: {row.means}", retry_after(headers, now=now))


def error_in_reply(data: bytes, *, headers: Mapping[str, str], now: float) -> ModelAway | Retry | Reject | None:
    """The exception for a 200 with an error instead of, or inside, its first choice; None if there is no error."""
    try:
        chat = chat_json.parse(data)
    except Retry:
        return None
    if _error_field(chat) is not None or ("choices" not in chat and chat.keys() & _SAYS_ERROR):
        inside = {name: value for name, value in chat.items() if name != "choices"}
    else:
        choices = chat.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
        inside = {"error": _error_field(choice)}
        if inside["error"] is None:
            return None
    return trouble(200, orjson.dumps(inside), headers=headers, now=now)


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """The bounded Retry-After in seconds, in any form (retry-after-ms; a number with or without a unit; an HTTP date).
    None if it is missing or invalid."""
    if (ms := headers.get("retry-after-ms")) is not None and (wait := seconds(f"{ms}ms", now=now)) is not None:
        return wait
    return seconds(headers.get("retry-after"), now=now)


def seconds(value: str | None, *, now: float) -> float | None:
    """A bounded wait from now in seconds; None if the value is invalid."""
    if value is None:
        return None
    value = value.strip(" \t\"'")
    try:
        wait = _duration(value)
        wait = _date(value) - now if wait is None else wait
    except (ValueError, OverflowError, TypeError):
        return None
    return min(max(wait, 0.0), RETRY_AFTER_MOST_S)


def _duration(value: str) -> float | None:
    """Seconds of "7", "7.5 s", "1m30s"; of several headers' values, of the first. None if it is no duration."""
    first = value.partition(", ")[0].casefold()
    if not _DURATION.fullmatch(first):
        return None
    total = sum(float(part[1]) * _unit_s(part[2]) for part in _PART.finditer(first))
    return -total if first.startswith("-") else total


def _unit_s(unit: str | None) -> float:
    return _UNIT_S[unit if unit == "ms" else (unit or "s")[0]]


def _date(value: str) -> float:
    """Unix seconds of an HTTP date or one in ISO 8601."""
    try:
        return datetime.fromisoformat(value).timestamp()
    except ValueError:
        return parsedate_to_datetime(value).timestamp()


def _trouble(row: Row, what: str, wait: float | None) -> ModelAway | Retry | Reject:
    match row.kind:
        case "busy":
            return Busy(what, wait)
        case "operator":
            return Refuses(what, row.reason or "address", wait)
        case "time-out":
            return TimedOut(what)
        case "failed":
            return Retry(what)
        case "refused":
            return Reject(what)
        case _:
            assert_never(row.kind)


def _inner_status(status: int, codes: tuple[str, ...]) -> int:
    """The effective status: gateways wrap a provider's status in a 200 or 500."""
    if status != 200 and not 500 <= status <= 599:
        return status
    return next((int(name) for name in codes if _INNER_STATUS.fullmatch(name)), status)


def _named(holders: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The error's codes and types, as text, the innermost first."""
    values = (holder.get(name) for holder in holders for name in _STATUS_NAMES)
    return tuple(str(value) for value in values if isinstance(value, str | int) and not isinstance(value, bool))


def _message(error: Mapping[str, Any]) -> str:
    message = error.get("message")
    return message[:_READ_CHARS].lower() if isinstance(message, str) else ""


def _holders(data: bytes) -> list[Mapping[str, Any]]:
    """The error and the objects around it, the innermost first."""
    found: list[Mapping[str, Any]] = []
    value: Any = _json(data)
    for _ in range(_DEPTH):
        if isinstance(value, list) and value:
            value = value[0]
        if not isinstance(value, dict):
            found.insert(0, {"message": value})
            break
        found.insert(0, value)
        inner = next((value[name] for name in ("error", "errors", "detail") if value.get(name)), None)
        if inner is None:
            break
        value = inner
    return found


def _error_field(holder: Mapping[str, Any]) -> Any:
    """A non-empty `error`: some servers send null or {} with every reply."""
    return holder.get("error") or None


def _json(data: bytes) -> Any:
    try:
        return orjson.loads(data[:_READ_BYTES])
    except orjson.JSONDecodeError:
        return {}
