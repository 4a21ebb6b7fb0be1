"""Reading a judge's reply: a verdict or a score that the text holds, or nothing. Never a guess."""

import re
from dataclasses import dataclass
from typing import Any, Literal

import json_repair

from services.contracts.codec import Malformed, loads
from services.core.calls import Reply

VERDICT = {"verdict": {"type": "string", "enum": ["Correct", "Error"]}, "reason": {"type": "string", "maxLength": 1000}}
SCORE = {
    "score": {"type": "integer", "minimum": 0, "maximum": 5},
    "justification": {"type": "string", "maxLength": 1000},
}


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


VERDICT_SCHEMA = schema("verdict", VERDICT)
SCORE_SCHEMA = schema("score", SCORE)
BOTH_SCHEMA = schema("verdict_and_score", VERDICT, SCORE)

_END = r"""(?=\b\w+["']?\s*:|[}\]]|(?<![\w.])\Z)"""
"""Where a field's value ends: at the next key, at a bracket, or at the text's end, unless a word or number may be cut
off there: `"Correct` might have become "Correct in part", and `1` a 1.5."""

MAX_TEXT = 4_000
"""Characters of a reason or justification that are kept: a sentence or two are asked for."""


@dataclass(frozen=True)
class Judged:
    """What a judge said of a path."""

    outcome: Literal["correct", "error"]
    reason: str


@dataclass(frozen=True)
class Scored:
    """What the ranker said of a path."""

    value: int
    justification: str


def verdict(reply: Reply) -> Judged | None:
    """The verdict that the reply states, or none."""
    fields = _fields(reply, "verdict")
    word = fields.get("verdict")
    if not isinstance(word, str) or word.strip().casefold() not in ("correct", "error"):
        return None
    outcome: Literal["correct", "error"] = "correct" if word.strip().casefold() == "correct" else "error"
    return Judged(outcome, _text(fields.get("reason")))


def score(reply: Reply) -> Scored | None:
    """The score that the reply states, a whole number from 0 to 5, or none."""
    fields = _fields(reply, "score")
    value = fields.get("score")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 5:
        return None
    return Scored(value, _text(fields.get("justification")))


def _fields(reply: Reply, wanted: str) -> dict[str, Any]:
    """The reply's JSON object, mended where it is broken; empty where the text says `wanted` in two ways, or where what
    was mended isn't what it says: json-repair makes 3 of `3 or 4`, and "Correct" of `"Correct" is too kind`."""
    values = re.findall(rf"""(?<=["']){wanted}["']\s*:(.*?){_END}""", reply.text, re.IGNORECASE | re.DOTALL)
    try:
        fields = loads(reply.text)
    except Malformed:
        fields = _mended(reply.text)
    if not isinstance(fields, dict) or {_bare(value) for value in values} != {_bare(str(fields.get(wanted)))}:
        return {}
    return fields


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


def _text(value: Any) -> str:
    return value.strip()[:MAX_TEXT] if isinstance(value, str) else ""
