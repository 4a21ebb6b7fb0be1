"""Reading a reply that has to be a JSON object: what its text says, or nothing. Never a guess.

Work is linear in the text; repairing broken JSON, which isn't, is done on a few thousand characters only.
"""

import re
from typing import Any

import json_repair

from services.contracts.codec import Malformed, loads
from services.core.case.markup import SPECIAL_TOKEN
from services.core.ledger.calls import Reply

_END = r"""(?=\b\w+["']?\s*:|[}\]]|(?<![\w.])\Z)"""
"""Where a field's value ends: at the next key, at a bracket, or at the text's end, unless a word or number may be cut
off there: `"Correct` might have become "Correct in part", and `1` a 1.5."""

MAX_TEXT = 4_000
"""Characters of a reason or justification that are kept: a sentence or two are asked for."""

REPAIR_CHARACTERS = 6_000
"""Characters that are repaired, at the text's end: a judge's two fields take some 2,000 at most, and json-repair's time
grows with the square of the text, or faster."""

REPAIR_BRACKETS = 40
"""Opening brackets in a text that is repaired: 3,000 of them took json-repair a second, 12,000 half a minute."""

_TYPOGRAPHY = str.maketrans({"“": '"', "”": '"', "„": '"', "＂": '"', "‘": "'", "’": "'", "：": ":", "，": ","})
_COMMENT = re.compile(r"(?<=[,{\[])([ \t]{0,20})//[^\n]*")
_PLUS = re.compile(r"""(?<=:)(\s{0,20})\+(?=\d)""")
_ORNAMENT = " \t\r\n*_`~.!\"'✅✔☑️"
_NUMERAL = re.compile(r"\+?(\d{1,3})(?:\.0{1,5})?(?:\s{0,3}(?:/|out of|of)\s{0,3}(\d{1,3}))?", re.IGNORECASE)


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
    """The reply's JSON object by its lower-case names, repaired where it is broken.

    Empty where the text gives one of `wanted` two values, or where the repaired value isn't what the text says:
    json-repair makes 3 of `3 or 4`, and "Correct" of `"Correct" is too kind`.
    """
    text = SPECIAL_TOKEN.sub(" ", reply.text).strip("\ufeff \t\r\n")
    found = _object(_parsed(text))
    if isinstance(found, str):  # JSON written into a JSON string
        text, found = found, _object(_parsed(found))
    if not _says(text, found, wanted):
        text = _plain_json(text)
        found = _object(_repaired(text))
    return found if isinstance(found, dict) and _says(text, found, wanted) else {}


def whole(value: Any, least: int, most: int) -> int | None:
    """The value, where it is a whole number from `least` to `most`: 3, 3.0, "3", "3/5" if 5 is the most; not true."""
    if isinstance(value, str) and (match := _NUMERAL.fullmatch(value.strip(_ORNAMENT))):
        value = int(match[1]) if match[2] is None or int(match[2]) == most else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most else None


def word(value: Any) -> str:
    """The value, where it is a text, in lower case and without emphasis, full stop or quotes."""
    return value.strip(_ORNAMENT).casefold() if isinstance(value, str) else ""


def prose(value: Any) -> str:
    """The value, where it is a text; as much of it as is kept."""
    return value.strip()[:MAX_TEXT] if isinstance(value, str) else ""


def _parsed(text: str) -> Any:
    try:
        return loads(text)
    except Malformed:
        return None


def _object(value: Any) -> Any:
    """The value, of a list of one its item; an object's names in lower case. None where two names then clash."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        return value if isinstance(value, str) else None
    lowered = {name.casefold(): item for name, item in value.items() if isinstance(name, str)}
    return lowered if len(lowered) == len(value) else None


def _says(text: str, found: Any, wanted: tuple[str, ...]) -> bool:
    """Whether what was found is what the text says of each wanted field, and all that it says of it."""
    return isinstance(found, dict) and all(_said(text, name) == {_bare(str(found.get(name)))} for name in wanted)


def _said(text: str, name: str) -> set[str]:
    """All values that the text gives a field."""
    values = re.findall(rf"""(?<=["']){name}["']\s*:(.*?){_END}""", text, re.IGNORECASE | re.DOTALL)
    return {_bare(value) for value in values}


def _bare(value: str) -> str:
    """Without quotes, commas, spaces, and case."""
    return re.sub(r"[^\w.+-]", "", value).casefold()


def _plain_json(text: str) -> str:
    """The text in JSON's own quotes and colons, without comments behind a comma and without a plus before a number."""
    return _PLUS.sub(r"\1", _COMMENT.sub(r"\1", text.translate(_TYPOGRAPHY)))


def _repaired(text: str) -> Any:
    """What json-repair makes of the text's end; of the several things that it finds among prose, the first object."""
    end = text[-REPAIR_CHARACTERS:]
    if end.count("{") + end.count("[") > REPAIR_BRACKETS:
        return None
    try:
        value = json_repair.loads(end)
    except (RecursionError, ValueError):  # a model that repeats one bracket, or one digit
        return None
    if isinstance(value, list) and len(value) > 1:
        return next((item for item in value if isinstance(item, dict)), None)
    return value
