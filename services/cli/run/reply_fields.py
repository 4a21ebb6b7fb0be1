"""What the system reads from a reply, as one object: the fields that `reasonmed reply --json` prints."""

from dataclasses import dataclass
from typing import Any, Literal, assert_never

from services.contracts.case import Path, Usage
from services.contracts.question import Question
from services.core.case.answers import Options, final_answer
from services.core.case.paths import why_no_text
from services.core.errors import ModelAway, Reject, Trouble
from services.core.ledger.calls import Reply
from services.evaluator.replies import rated
from services.llm.finish import meant
from services.llm.troubles import Busy, Refuses, TimedOut
from services.llm.wire import REFUSED
from services.verifier import checks, replies

As = Literal["generate", "verify", "score", "evaluate"]
Fields = dict[str, Any]

FIELDS = (
    "as", "text", "thinking", "finish", "finish_reason", "problem", "refusal", "stated", "outside", "verdict", "reason",
    "score", "justification", "ratings", "usage", "trouble",
)  # fmt: skip
"""Always there, in this order."""


@dataclass(frozen=True)
class Asked:
    """What is known of the question: the texts of its options, its gold answer's letter."""

    options: Options
    gold: str | None = None


def fields(purpose: As, read: Reply | Trouble, asked: Asked) -> Fields:
    """What is read from a reply to a request of this stage, or whose trouble it is where it is none."""
    none: Fields = dict.fromkeys(FIELDS)
    if not isinstance(read, Reply):
        usage = getattr(read, "usage", Usage())
        return {**none, "as": purpose, "problem": str(read), "usage": _usage(usage), "trouble": _trouble(read)}
    return {
        **none,
        "as": purpose,
        "text": read.text,
        "thinking": read.thinking,
        "finish": meant(read.finish_reason),
        "finish_reason": read.finish_reason,
        "refusal": read.problem.removeprefix(REFUSED) if read.refused else None,
        "usage": _usage(read.usage),
        **_content(purpose, read, asked),
    }


def _content(purpose: As, read: Reply, asked: Asked) -> Fields:
    match purpose:
        case "generate":
            return _path(read, asked)
        case "verify":
            return _judged(read, "verdict", {**_verdict(read), **_score(read)})
        case "score":
            return _judged(read, "score", _score(read))
        case "evaluate":
            return _judged(read, "ratings", _ratings(read))
        case _:
            assert_never(purpose)


def _judged(read: Reply, wanted: str, found: Fields) -> Fields:
    unread = f"no {wanted} could be read: it would be asked for again"
    return {**found, "problem": None if wanted in found else why_no_text(read) or unread}


def _verdict(read: Reply) -> Fields:
    judged = replies.verdict(read)
    return {} if judged is None else {"verdict": judged.outcome, "reason": judged.reason}


def _score(read: Reply) -> Fields:
    scored = replies.score(read)
    return {} if scored is None else {"score": scored.value, "justification": scored.justification}


def _ratings(read: Reply) -> Fields:
    found = rated(read)
    return {} if found is None else {"ratings": found.ratings, "justification": found.justification}


def _path(read: Reply, asked: Asked) -> Fields:
    """What a path of this text states, and what the verifier says of it without a judge."""
    answer, why_not = final_answer(read.text, asked.options), why_no_text(read)
    made: Fields = {"text": read.text, "finish_reason": read.finish_reason, "failure": why_not or None}
    path = Path.model_construct(origin="generated", **made)
    known: Fields = {"options": dict(asked.options), "answer": asked.gold or ""}
    question = Question.model_construct(**known)
    verdict = checks.before_judging(path, question)
    if verdict is None and asked.gold is not None and answer.option not in (None, asked.gold):
        verdict = checks.verdict(path, question, None, "")
    return {
        "problem": why_not or None,
        "stated": answer.option,
        "outside": answer.outside,
        "verdict": None if verdict is None else verdict.outcome,
        "reason": None if verdict is None else verdict.reason,
    }


def _usage(usage: Usage) -> Fields:
    return {"prompt": usage.prompt, "completion": usage.completion, "cached": usage.cached}


def _trouble(trouble: Trouble) -> Fields:
    away = "ModelAway: held until the server takes calls again"
    tried = f"{type(trouble).__name__}: tried a few more times, then a failure that says why"
    wrong = "ModelAway: held until the configuration is put right"
    match trouble:
        case Busy():
            kind, whose, fail, succeed = "busy", "server", "Busy: held, and the server's limit is lowered", ""
        case Refuses():
            kind, whose, fail, succeed = "operator", "operator", wrong, ""
        case ModelAway():
            kind, whose, fail, succeed = "failed", "server", away, ""
        case TimedOut():
            kind, whose, fail, succeed = "time-out", "server", away, tried
        case Reject():
            kind, whose, fail, succeed = "refused", "call", wrong, "Reject: a failure that says why"
        case _:
            kind, whose, fail, succeed = "failed", "server", away, tried
    return {
        "kind": kind,
        "error": type(trouble).__name__,
        "reason": str(trouble),
        "whose": whose,
        "if_others_fail": fail,
        "if_others_succeed": succeed or fail,
        "retry_after_s": getattr(trouble, "retry_after", None),
    }
