"""Parses a judge's reply: a verdict or score, or None, never a guess."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from services.contracts.case import Severity, StepError, Steps
from services.core.case.replies import fields, prose, whole, word
from services.core.ledger.calls import Reply
from services.verifier.verdict_schema import KINDS

Outcome = Literal["correct", "error"]
_SEVERITIES: dict[str, Severity] = {name: name for name in get_args(Severity)}
_OUTCOMES: dict[str, Outcome] = {"correct": "correct", "error": "error"}


@dataclass(frozen=True)
class Judged:
    """A judge's verdict on a path."""

    outcome: Outcome
    reason: str
    steps: Steps | None = None
    """Which steps are in error, if the judge was asked for it."""


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


def verdict_of_steps(reply: Reply, ends: Sequence[int]) -> Judged | None:
    """The verdict and the errors that the reply states, on a path whose steps end there. None also if they contradict
    each other: correct with a step in error, in error without one, or a step that the path does not have."""
    found = fields(reply, "verdict", rows={"errors": ("step", "kind", "severity")})
    outcome = _OUTCOMES.get(word(found.get("verdict")))
    errors = [_step_error(row, len(ends)) for row in found.get("errors", ())]
    known = [error for error in errors if error is not None]
    if outcome is None or len(known) < len(errors) or (outcome == "error") != bool(errors):
        return None
    return Judged(outcome, prose(found.get("reason")), Steps(ends=tuple(ends), errors=tuple(known)))


def _step_error(row: Mapping[str, Any], steps: int) -> StepError | None:
    step, kind, severity = (
        whole(row.get("step"), 1, steps),
        _name(row.get("kind")),
        _SEVERITIES.get(_name(row.get("severity"))),
    )
    if step is None or kind not in KINDS or severity is None:
        return None
    return StepError(step=step, kind=kind, severity=severity, reason=prose(row.get("reason")))


def _name(value: Any) -> str:
    """A name as the schema writes it: "Wrong fact" is wrong_fact."""
    return "_".join(word(value).replace("-", " ").split())


def score(reply: Reply) -> Scored | None:
    """The score that the reply states, a whole number from 0 to 5, or None."""
    found = fields(reply, "score")
    value = whole(found.get("score"), 0, 5)
    return None if value is None else Scored(value, prose(found.get("justification")))
