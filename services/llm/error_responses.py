"""Maps an error response to an exception. Pure. The server's text is matched but never passed on, as it may quote the
prompt."""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, assert_never

import orjson

from services.core.errors import ModelAway, Reject, Retry
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
_DURATION = re.compile(r"\s*(-?[0-9.]+)\s*(ms|s|m)?\s*")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}


def trouble(status: int, data: bytes, *, headers: Mapping[str, str], now: float) -> ModelAway | Retry | Reject:
    """The exception for this response. `headers` with lower-case names; `now` in Unix seconds."""
    error = _error(data)
    named = _named(error)
    inner = _inner_status(status, named)
    codes = tuple(name for name in named if name is not None)
    row = row_of(inner, codes, _message(error))
    said = next((name for name in codes if _IDENTIFIER.fullmatch(name)), None)
    parameter = error.get("param")
    about = f": {parameter}" if isinstance(parameter, str) and _IDENTIFIER.fullmatch(parameter) else ""
    http = f"HTTP {status}" if inner == status else f"HTTP {status} with error {inner}"
    what = f"{http} ({said}{about})" if said else http
    return _trouble(row, f"{what}: {row.means}", retry_after(headers, now=now))


def error_in_reply(data: bytes, *, headers: Mapping[str, str], now: float) -> ModelAway | Retry | Reject | None:
    """The exception for a 200 with an error instead of, or inside, its first choice; None if there is no error."""
    if b'"error"' not in data:
        return None
    chat = _json(data)
    if _error_field(chat) is not None:
        return trouble(200, data, headers=headers, now=now)
    choices = chat.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    inside = _error_field(choice)
    return None if inside is None else trouble(200, orjson.dumps({"error": inside}), headers=headers, now=now)


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
    found = _DURATION.fullmatch(value)
    try:
        wait = float(found[1]) * _UNIT_S[found[2]] if found else parsedate_to_datetime(value).timestamp() - now
    except (ValueError, OverflowError, TypeError):
        return None
    return min(max(wait, 0.0), RETRY_AFTER_MOST_S)


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


def _inner_status(status: int, named: tuple[str | None, ...]) -> int:
    """The effective status: gateways wrap a provider's status in a 200 or 500."""
    if status != 200 and not 500 <= status <= 599:
        return status
    return next((int(name) for name in named if name and _INNER_STATUS.fullmatch(name)), status)


def _named(error: Mapping[str, Any]) -> tuple[str | None, ...]:
    """The error's code and type, as text."""
    values = (error.get("code"), error.get("type"))
    return tuple(str(value) if isinstance(value, str | int) else None for value in values)


def _message(error: Mapping[str, Any]) -> str:
    message = error.get("message")
    return message[:_READ_CHARS].lower() if isinstance(message, str) else ""


def _error(data: bytes) -> Mapping[str, Any]:
    answer = _json(data[:_READ_BYTES])
    error = answer.get("error", answer)
    return error if isinstance(error, dict) else {"message": error}


def _error_field(holder: Mapping[str, Any]) -> Any:
    """A non-empty `error`: some servers send null or {} with every reply."""
    return holder.get("error") or None


def _json(data: bytes) -> dict[str, Any]:
    try:
        answer: Any = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}
