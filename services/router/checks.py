"""The checks that a question must pass before it is admitted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import structlog

from services.contracts.question import Submission
from services.core.dedupe.minhash import Candidate
from services.core.ledger.ports import Refusal
from services.router.settings import Admission

log = structlog.get_logger(__name__)


def _none(submission: Submission) -> None:
    return None


def _nothing(submission: Submission) -> str:
    return ""


@dataclass(frozen=True)
class Checks:
    """Three checks, all off by default."""

    refusal: Callable[[Submission], Refusal | None] = field(default=_none)
    """Why a question is refused for what it is."""
    candidate: Callable[[Submission], Candidate | None] = field(default=_none)
    """The question's minhash, to be compared with those of earlier questions."""
    personal_data: Callable[[Submission], str] = field(default=_nothing)
    """Why a question must not reach a model server; empty: it may. In a process that only flags, always empty."""


NONE = Checks()
PERSONAL_DATA: Final = "personal data: "
"""How the reason begins with which such a question is rejected."""


def checks(settings: Admission, on_flag: Callable[[], None] = lambda: None) -> Checks:
    """The checks that are set. Their imports take seconds, so they happen only then. `on_flag` is called for each
    question that is flagged. Raises BadIndex, with the file's name, where the evaluation index can't be read."""
    return Checks(
        _evaluation(settings.evaluation_index),
        _near_duplicates(settings.near_duplicates),
        _personal_data(settings.personal_data, on_flag),
    )


def _evaluation(path: Path | None) -> Callable[[Submission], Refusal | None]:
    if path is None:
        return _none
    from services.core.dedupe.evaluation_file import read

    index = read(path)

    def refusal(submission: Submission) -> Refusal | None:
        match = index.find(submission.question)
        return None if match is None else Refusal("evaluation_set", match)

    return refusal


def _near_duplicates(threshold: float | None) -> Callable[[Submission], Candidate | None]:
    if threshold is None:
        return _none
    from services.core.dedupe.near_duplicates import candidate

    return lambda submission: candidate(submission.case_id, submission.question, threshold)


def _personal_data(
    action: Literal["flag", "refuse"] | None, on_flag: Callable[[], None]
) -> Callable[[Submission], str]:
    if action is None:
        return _nothing
    from services.router.privacy import identifiers

    def found(submission: Submission) -> str:
        kinds = identifiers(submission.question)
        if not kinds:
            return ""
        if action == "refuse":
            return PERSONAL_DATA + ", ".join(kinds)
        on_flag()
        log.warning("flagged: personal data", case_id=submission.case_id, kinds=kinds)
        return ""

    return found
