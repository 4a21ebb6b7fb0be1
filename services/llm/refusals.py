"""What a status other than 200 means: wait, try again, or never. Pure; a server's own words are not passed on, as they
may quote the prompt."""

import re
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from services.core.errors import ModelAway, Reject, Retry
from services.llm.troubles import Busy, TimedOut

RETRY_AFTER_MOST_S = 60.0
"""No server's wish is obeyed for longer: a model that is back must not stay unused."""

_OPERATORS = {
    401: "the key is refused: check the alias's api_key",
    402: "payment is asked for: see to the account",
    403: "the key may not use this model: check the alias's api_key",
    404: "unknown model or wrong base_url: check both for this alias",
    407: "a proxy asks for a login: check the network",
}
_AWAY = {503, 529}
_TRY_AGAIN = {425}
_UNKNOWN_MODEL = "model_not_found"
_IDENTIFIER = re.compile(r"[A-Za-z_]{1,40}")


def trouble(status: int, data: bytes, *, retry_after: str | None, now: float) -> ModelAway | Retry | Reject:
    """The error that stands for this answer. `now` in Unix seconds; `retry_after` as the header says it."""
    said = _identifier(data)
    what = f"HTTP {status} ({said})" if said else f"HTTP {status}"
    wait = seconds(retry_after, now=now)
    if status == 429:
        return Busy(f"{what}: too many calls for this server or account", wait)
    if status in _AWAY:
        return ModelAway(f"{what}: the server takes no calls now", wait)
    if status in _OPERATORS or said == _UNKNOWN_MODEL:
        return ModelAway(f"{what}: {_OPERATORS.get(status, _OPERATORS[404])}", wait)
    if status == 408:
        return TimedOut(what)
    if status >= 500 or status in _TRY_AGAIN or 200 <= status < 300:
        return Retry(what)
    if 300 <= status < 400:
        return ModelAway(f"{what}: a redirect: check the alias's base_url", wait)
    return Reject(f"{what}: the server refuses this request")


def seconds(retry_after: str | None, *, now: float) -> float | None:
    """Retry-After in seconds from now, in either form (a number, an HTTP date), bounded; None where it says nothing."""
    if retry_after is None:
        return None
    try:
        wait = float(retry_after)
    except ValueError:
        wait = _until(retry_after, now)
    return min(max(wait, 0.0), RETRY_AFTER_MOST_S) if wait == wait else None  # NaN differs from itself


def _until(date: str, now: float) -> float:
    try:
        return parsedate_to_datetime(date).timestamp() - now
    except (ValueError, OverflowError):
        return float("nan")


def _identifier(data: bytes) -> str | None:
    """The error's code or type, where it is a plain identifier: all that is safe to repeat."""
    try:
        answer: Any = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    error = answer.get("error", answer) if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return None
    named = (error.get("code"), error.get("type"))
    return next((name for name in named if isinstance(name, str) and _IDENTIFIER.fullmatch(name)), None)
