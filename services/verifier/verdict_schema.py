"""The JSON schemas that a judge's replies must follow: a verdict, a score, or both in one call."""

from services.core.case.replies import schema

VERDICT = {"verdict": {"type": "string", "enum": ["Correct", "Error"]}, "reason": {"type": "string", "maxLength": 1000}}
SCORE = {
    "score": {"type": "integer", "minimum": 0, "maximum": 5},
    "justification": {"type": "string", "maxLength": 1000},
}


VERDICT_SCHEMA = schema("verdict", VERDICT)
SCORE_SCHEMA = schema("score", SCORE)
BOTH_SCHEMA = schema("verdict_and_score", VERDICT, SCORE)
