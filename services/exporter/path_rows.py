"""Converts the paths of a case to rows. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from services.contracts.base import VERSION, CallId
from services.contracts.case import Case, Path, Stage, StepError
from services.contracts.topics import CASE_ACCEPTED, CASE_REJECTED, stage_topic
from services.core.messages import ConsumedRecord
from services.exporter.rows import Exported, Row, check_integers, digest_of, split, written_at
from services.worker.handling import read_case

ENDS: Final = {CASE_ACCEPTED: "accepted", CASE_REJECTED: "rejected"}
"""How the cases of a topic ended."""
WRITING: frozenset[Stage] = frozenset(("generate", "refine", "reason"))
"""The stages whose calls write a path; the last of these calls wrote its text."""


def export(received: ConsumedRecord, thinking: Mapping[CallId, str]) -> Exported:
    """The rows of an ended case: all of its paths. `thinking`: by call, as far as the ledger has it.

    A case that a redrive ends again is a repeat if its paths are the same, in whichever life. Raises Dead: `poison`, or
    `not_yet` for another major version.
    """
    case = read_case(received)
    known, _ = split(case)
    check_integers(known)
    digest = digest_of(known, "version", "life", "call_life")
    of_case = {
        **_of_case(case),
        "kafka_topic": received.topic,
        "kafka_partition": received.partition,
        "kafka_offset": received.offset,
        "written_at": written_at(received),
        "ended": ENDS[stage_topic(received.topic)],
        "content_digest": digest,
        "contract": VERSION,
    }
    return Exported(case.work_id, digest, tuple(of_case | _of_path(case, path, thinking) for path in case.paths))


def path_row(case: Case, path: Path) -> Row:
    """The columns path_schema.PATH."""
    verdict = path.verdict
    return {
        "path_id": path.path_id,
        "work_id": case.work_id,
        "case_id": case.case_id,
        "recipe_id": case.recipe_id,
        "origin": path.origin,
        "round": path.round,
        "slot": path.slot,
        "alias": path.alias,
        "temperature": path.temperature,
        "parents": list(path.parents),
        "text": path.text,
        "finish_reason": path.finish_reason,
        "failure": path.failure,
        "standing": path.standing,
        "reason": verdict.reason if verdict else None,
        "verdict_by": verdict.by if verdict else None,
        "judged": verdict.judged if verdict else None,
        "stated": verdict.stated if verdict else None,
        "gold": case.question.answer,
        "score": path.score.value if path.score else None,
        "kept": path.path_id in case.kept,
        "call_ids": [call.call_id for call in path.calls],
    }


def written_by(path: Path) -> CallId | None:
    """The call that wrote its text."""
    writing = [call.call_id for call in path.calls if call.stage in WRITING]
    return writing[-1] if writing else None


def _of_case(case: Case) -> dict[str, Any]:
    question = case.question
    return {
        "life": case.life,
        "rejected": case.rejected,
        "difficulty": case.difficulty,
        "gold_disputed": case.gold_disputed,
        "source": question.source,
        "source_question_id": question.id,
        "subject": question.subject,
        "question": question.question,
        "options": [{"letter": letter, "text": text} for letter, text in question.options.items()],
        "context": list(question.context),
    }


def _of_path(case: Case, path: Path, thinking: Mapping[CallId, str]) -> Row:
    steps = path.verdict.steps if path.verdict else None
    call = written_by(path)
    return {
        **path_row(case, path),
        "thinking": thinking.get(call) if call else None,
        "score_justification": path.score.justification if path.score else None,
        "step_ends": None if steps is None else list(steps.ends),
        "errors": None if steps is None else [_error(error) for error in steps.errors],
    }


def _error(error: StepError) -> dict[str, Any]:
    return {"step": error.step, "kind": error.kind, "severity": error.severity, "reason": error.reason}
