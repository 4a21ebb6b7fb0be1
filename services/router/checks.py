"""The checks that a question must pass before it is admitted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from services.contracts.question import Submission
from services.core.dedupe.minhash import Candidate
from services.core.ledger.ports import Refusal
from services.router.settings import Admission


def _none(submission: Submission) -> None:
    return None


@dataclass(frozen=True)
class Checks:
    """Two checks, both off by default."""

    refusal: Callable[[Submission], Refusal | None] = field(default=_none)
    """Why a question is refused for what it is."""
    candidate: Callable[[Submission], Candidate | None] = field(default=_none)
    """The question's minhash, to be compared with those of earlier questions."""


NONE = Checks()


def checks(settings: Admission) -> Checks:
    """The checks that are set. Their imports take seconds, so they happen only then. Raises BadIndex, with the file's
    name, where the evaluation index can't be read."""
    return Checks(_evaluation(settings.evaluation_index), _near_duplicates(settings.near_duplicates))


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
