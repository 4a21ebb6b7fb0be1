"""The JSON schemas that a judge's replies must follow: a verdict (of steps or not), a score, or both in one call."""

import tomllib
from pathlib import Path
from typing import Any, get_args

from services.contracts.case import Severity
from services.core.case.replies import schema

KINDS: tuple[str, ...] = tuple(tomllib.loads((Path(__file__).parent / "step_errors.toml").read_text(encoding="utf-8")))
"""The kinds of an error in a step."""

MOST_ERRORS = 20
"""The most errors of a reply that are asked for."""

_ERROR: dict[str, Any] = {
    "step": {"type": "integer", "minimum": 1},
    "kind": {"type": "string", "enum": list(KINDS)},
    "severity": {"type": "string", "enum": list(get_args(Severity))},
    "reason": {"type": "string", "maxLength": 500},
}
STEPS: dict[str, Any] = {"errors": {"type": "array", "maxItems": MOST_ERRORS, "items": schema("error", _ERROR)}}
VERDICT = {"verdict": {"type": "string", "enum": ["Correct", "Error"]}, "reason": {"type": "string", "maxLength": 1000}}
SCORE = {
    "score": {"type": "integer", "minimum": 0, "maximum": 5},
    "justification": {"type": "string", "maxLength": 1000},
}


VERDICT_SCHEMA = schema("verdict", VERDICT)
SCORE_SCHEMA = schema("score", SCORE)
BOTH_SCHEMA = schema("verdict_and_score", VERDICT, SCORE)
STEPS_SCHEMA = schema("verdict_of_steps", STEPS, VERDICT)
STEPS_AND_SCORE_SCHEMA = schema("verdict_of_steps_and_score", STEPS, VERDICT, SCORE)
"""The errors come first, so that the verdict follows from them."""
