"""Parses a judge's reply: a verdict or score, or None, never a guess."""

from dataclasses import dataclass
from typing import Literal

from services.core.case.replies import fields, prose, whole, word
from services.core.ledger.calls import Reply

Outcome = Literal["correct", "error"]
_OUTCOMES: dict[str, Outcome] = {"correct": "correct", "error": "error"}


@dataclass(frozen=True)
class Judged:
    """A judge's verdict on a path."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class Scored:
    """The ranker's score of a path."""

    value: int
    justification: str


def verdict(reply: Reply) -> Judged | None:
    """The verdict that the reply states, or None."""
    found = fields(reply, "verdict")
    outcome = _OUTCOMES.get(word(found.get("verdict")))
    return None if outcome is None else Judged(outcome, prose(found.get("reason")))


def score(reply: Reply) -> Scored | None:
    """The score that the reply states, a whole number from 0 to 5, or None."""
    found = fields(reply, "score")
    value = whole(found.get("score"), 0, 5)
    return None if value is None else Scored(value, prose(found.get("justification")))
