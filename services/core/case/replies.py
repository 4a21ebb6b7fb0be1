"""Reading a reply that is to be a JSON object: what its text says, or nothing. Never a guess."""

import re
from typing import Any

import json_repair

from services.contracts.codec import Malformed, loads
from services.core.ledger.calls import Reply

_END = r"""(?=\b\w+["']?\s*:|[}\]]|(?<![\w.])\Z)"""
"""Where a field's value ends: at the next key, at a bracket, or at the text's end, unless a word or number may be cut
off there: `"Correct` might have become "Correct in part", and `1` a 1.5."""

MAX_TEXT = 4_000
"""Characters of a reason or justification that are kept: a sentence or two are asked for."""


def schema(title: str, *properties: dict[str, Any]) -> dict[str, Any]:
    """A JSON Schema of an object with just these properties, all required."""
    merged: dict[str, Any] = {name: rule for part in properties for name, rule in part.items()}
    return {
        "title": title,
        "type": "object",
        "properties": merged,
        "required": list(merged),
        "additionalProperties": False,
    }


def fields(reply: Reply, *wanted: str) -> dict[str, Any]:
    """The reply's JSON object, mended where it is broken; empty where the text says one of `wanted` in two ways, or
    where what was mended isn't what it says: json-repair makes 3 of `3 or 4`, and "Correct" of `"Correct" is too kind`.
    """
    try:
        found = loads(reply.text)
    except Malformed:
        found = _mended(reply.text)
    if not isinstance(found, dict) or any(_said(reply.text, name) != {_bare(str(found.get(name)))} for name in wanted):
        return {}
    return found


def whole(value: Any, least: int, most: int) -> int | None:
    """The value, where it is a whole number from `least` to `most` (3.0 is one, true isn't)."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most else None


def prose(value: Any) -> str:
    """The value, where it is a text; as much of it as is kept."""
    return value.strip()[:MAX_TEXT] if isinstance(value, str) else ""


def _said(text: str, name: str) -> set[str]:
    """All values that the text gives a field."""
    values = re.findall(rf"""(?<=["']){name}["']\s*:(.*?){_END}""", text, re.IGNORECASE | re.DOTALL)
    return {_bare(value) for value in values}


def _bare(value: str) -> str:
    """Without quotes, commas, spaces, and case."""
    return re.sub(r"[^\w.+-]", "", value).casefold()


def _mended(text: str) -> Any:
    """What json-repair makes of the text; of the several things that it finds among prose, the first object."""
    try:
        value = json_repair.loads(text)
    except (RecursionError, ValueError):  # a model that repeats one bracket, or one digit
        return None
    return next((item for item in value if isinstance(item, dict)), None) if isinstance(value, list) else value
