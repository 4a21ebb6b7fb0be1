"""Parses a reply that must be a JSON object; never guesses.

Linear in the text. Repairing broken JSON is not linear, and is limited to a few thousand characters.
"""

import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import json_repair

from services.contracts.codec import Malformed, loads
from services.core.case.markup import SPECIAL_TOKEN
from services.core.ledger.calls import Reply

_END = r"""(?=\b\w+["']?\s*:|["']\w+[ -]\w+["']\s*:|[}\]]|(?<![\w.])\Z)"""
"""The end of a field's value: the next key, a bracket, or the end of the text, unless a word or number may be cut off
there: `"Correct` may be the start of "Correct in part", and `1` of 1.5."""

MAX_TEXT = 4_000
"""Characters of a reason or justification that are kept; prompts ask for a sentence or two."""

REPAIR_CHARACTERS = 6_000
"""Characters at the end of the text that are repaired. A judge's two fields take at most about 2,000; the time of
json-repair grows at least with the square of the text."""

REPAIR_BRACKETS = 40
"""The most opening brackets in a text that is repaired: json-repair took 1 s for 3,000, and 30 s for 12,000.
Within both bounds it takes 5 ms at most (of 4,900 loops of damaged JSON), so it needs no thread of its own."""

_TYPOGRAPHY = str.maketrans(
    {
        **dict.fromkeys("“”„‟＂«»「」『』", '"'),
        **dict.fromkeys("‘’‚‛", "'"),
        **dict(zip("：，｛｝［］", ":,{}[]", strict=True)),
    }
)
_COMMENT = re.compile(r"(?<=[,{\[])([ \t]{0,20})(?:(?://|#)[^\n]*|/\*[^*]{0,400}\*/)")
_ESCAPED = '{\\"'
"""How JSON begins that was written into a JSON string whose quotes are missing."""
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff"))
_NUMBER = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,15})?", re.ASCII)
_PLUS = re.compile(r"""(?<=:)(\s{0,20})\+(?=\d)""")
_ORNAMENT = " \t\r\n*_`.!\"'✅✔☑️"
_SPACES = re.compile(r"[\s-]+")
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


Rows = Mapping[str, tuple[str, ...]]
"""Fields that are lists of objects, with the names that each object must have."""


def fields(reply: Reply, *wanted: str, rows: Rows = MappingProxyType({})) -> dict[str, Any]:
    """The reply's JSON object with lower-case names, repaired if it is broken.

    Empty if the text gives one of `wanted` two values, or if the repaired value differs from the text: json-repair
    makes 3 of `3 or 4`, and "Correct" of `"Correct" is too kind`. The same holds for each object in `rows`, in order.
    """
    text = SPECIAL_TOKEN.sub(" ", reply.text).strip("\ufeff \t\r\n")
    if text.startswith(_ESCAPED):
        text = f'"{text}"'
    found = _object(_parsed(text))
    if isinstance(found, str):  # JSON written into a JSON string
        text, found = found, _object(_parsed(found))
    if not _agrees(text, found, wanted, rows):
        text = _plain_json(text)
        found = _object(_repaired(text))
    return _with_rows(found, rows) if isinstance(found, dict) and _agrees(text, found, wanted, rows) else {}


def whole(value: Any, least: int, most: int) -> int | None:
    """The value if it is a whole number from `least` to `most` (3, 3.0, "3", or "3/5" if `most` is 5; not `true`)."""
    value = _only(value)
    if isinstance(value, str) and (match := _NUMERAL.fullmatch(value.strip(_ORNAMENT))):
        value = int(match[1]) if match[2] is None or int(match[2]) == most else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most else None


def word(value: Any) -> str:
    """The value if it is a string, in lower case, without emphasis, full stop and quotes; also from a list of one."""
    value = _only(value)
    if not isinstance(value, str):
        return ""
    return unicodedata.normalize("NFKC", value.translate(_INVISIBLE)).strip(_ORNAMENT).casefold()


def prose(value: Any) -> str:
    """The value if it is a string, cut to the length that is kept."""
    return value.strip()[:MAX_TEXT] if isinstance(value, str) else ""


def _parsed(text: str) -> Any:
    try:
        return loads(text)
    except Malformed:
        return None


def _object(value: Any) -> Any:
    """The value, or the item of a list of one, with names as in a schema; None if two names clash."""
    value = _only(_only(value))
    if not isinstance(value, dict):
        return value if isinstance(value, str) else None
    named = {_SPACES.sub("_", name.strip().casefold()): item for name, item in value.items() if isinstance(name, str)}
    return named if len(named) == len(value) else None


def _only(value: Any) -> Any:
    """The item of a list of one, or the value."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _with_rows(found: dict[str, Any], rows: Rows) -> dict[str, Any]:
    return found | {name: [_object(item) for item in found[name]] for name in rows}


def _agrees(text: str, found: Any, wanted: tuple[str, ...], rows: Rows) -> bool:
    """Whether the text gives each wanted field exactly the value that was found, and each row's, in order."""
    return (
        isinstance(found, dict)
        and all(_is_stated(text, name, found.get(name)) for name in wanted)
        and all(_rows_agree(text, found.get(name), names) for name, names in rows.items())
    )


def _is_stated(text: str, name: str, value: Any) -> bool:
    """Whether all values that the text gives the field are this one; 4.00 is 4."""
    stated = set(_stated_values(text, name))
    return bool(stated) and all(_same(one, _bare(str(value))) for one in stated)


def _same(one: str, other: str) -> bool:
    both_numbers = _NUMBER.fullmatch(one) and _NUMBER.fullmatch(other)
    return one == other or bool(both_numbers and float(one) == float(other))


def _rows_agree(text: str, items: Any, names: tuple[str, ...]) -> bool:
    objects = [_object(item) for item in items] if isinstance(items, list) else [None]
    found = [item for item in objects if isinstance(item, dict)]
    return len(found) == len(objects) and all(
        _stated_values(text, name) == [_bare(str(item.get(name))) for item in found] for name in names
    )


def _stated_values(text: str, name: str) -> list[str]:
    """All values that the text gives a field, in order, without parsing it as JSON."""
    key = name.replace("_", "[ _-]")
    quoted, bare = rf"""(?<=["'])\s{{0,3}}{key}\s{{0,3}}["']""", rf"(?<=[{{,\n])\s{{0,9}}{key}"
    values: list[str] = []
    for form in (quoted, bare):
        values = values or re.findall(rf"{form}\s*:(.*?){_END}", text, re.IGNORECASE | re.DOTALL)
    return [_bare(value) for value in values]


def _bare(value: str) -> str:
    """Without quotes, commas, spaces, and case."""
    return re.sub(r"[^\w.+-]", "", value).casefold()


def _plain_json(text: str) -> str:
    """The text with JSON's quotes and colons, without comments after a comma and without a plus before a number."""
    return _PLUS.sub(r"\1", _COMMENT.sub(r"\1", text.translate(_TYPOGRAPHY)))


def _repaired(text: str) -> Any:
    """The end of the text as repaired by json-repair; the first object, if it finds several values."""
    end = text[-REPAIR_CHARACTERS:]
    if end.count("{") + end.count("[") > REPAIR_BRACKETS:
        return None
    try:
        value = json_repair.loads(end)
    except (RecursionError, ValueError):  # the text repeats one bracket or one digit
        return None
    if isinstance(value, list) and len(value) > 1:
        return next((item for item in value if isinstance(item, dict)), None)
    return value
