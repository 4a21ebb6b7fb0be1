"""Functions on paths that several services share."""

from collections.abc import Iterable, Iterator, Sequence
from textwrap import shorten

from services.contracts.case import Case, Origin, Path, Steps
from services.core import ids
from services.core.case.steps import steps
from services.core.ledger.calls import Answer, Failure, Reply

QUOTED = 300
"""The most characters of a step that are quoted to a refiner."""


def planned(case: Case) -> list[Path]:
    """The plan's paths, in plan order."""
    return sorted((path for path in case.paths if path.origin == "generated"), key=lambda path: path.slot)


def of_round(case: Case, round: int) -> list[Path]:
    """The paths that a refining round (from 1) wrote, in order."""
    return sorted((p for p in case.paths if p.origin != "generated" and p.round == round), key=lambda p: p.slot)


def rank(path: Path) -> int:
    """The score of a correct path for ranking; -1 if it has none."""
    return -1 if path.score is None or path.score.value is None else path.score.value


def wording(path: Path) -> str:
    """Its text with normalised white space, for finding paths with the same text."""
    return " ".join(path.text.split())


def best(paths: Iterable[Path], count: int) -> list[Path]:
    """The best correct paths by score, with distinct texts; ties keep the given order."""
    unlike: dict[str, Path] = {}
    for path in sorted((p for p in paths if p.standing == "correct"), key=rank, reverse=True):
        unlike.setdefault(wording(path), path)
    return list(unlike.values())[:count]


def reasons(paths: Iterable[Path]) -> list[str]:
    """The verdicts' reasons, each followed by its steps in error; without those of paths that could not be judged."""
    found: list[str] = []
    for path in paths:
        if path.verdict is not None and path.verdict.outcome != "unjudged":
            found += [path.verdict.reason, *_steps_in_error(path, path.verdict.steps)]
    return [reason for reason in found if reason]


def _steps_in_error(path: Path, found: Steps | None) -> Iterator[str]:
    """Each step in error as it was written, as a refiner does not see the paths of others."""
    texts = [] if found is None else steps(path.text, found.ends)
    for error in () if found is None else found.errors:
        quoted = shorten(texts[error.step - 1], QUOTED, placeholder=" …")
        yield f"{error.kind.replace('_', ' ').capitalize()} ({error.severity}) in “{quoted}”: {error.reason}"


def from_answers(
    case: Case, answers: Sequence[Answer], *, origin: Origin, round: int, slot: int, parents: Iterable[Path] = ()
) -> Path:
    """An unverified path from the last answer; its calls list all answers. Without a complete text the path has the
    reason as its failure, and is unknown."""
    answer = answers[-1]
    path = Path(
        path_id=ids.path_id(case.work_id, origin, round, slot),
        origin=origin,
        round=round,
        slot=slot,
        alias=answer.request.alias,
        temperature=answer.request.sampling.temperature,
        parents=tuple(parent.path_id for parent in parents),
        calls=tuple(each.call for each in answers),
    )
    outcome = answer.outcome
    if isinstance(outcome, Failure):
        return path.with_(failure=outcome.reason)
    if why_not := why_no_text(outcome):
        return path.with_(failure=why_not)
    return path.with_(text=outcome.text, finish_reason=outcome.finish_reason)


def why_no_text(reply: Reply) -> str:
    """Why a reply has no text for a path or summary: interrupted, refused or empty. Empty if it has a text, even one
    that was cut off."""
    if reply.interrupted or reply.refused:
        return reply.problem or "interrupted: the server ended the text"
    if reply.text.strip():
        return ""
    thought = "all of the reply is thinking" if reply.thinking.strip() else "the reply is empty"
    return f"no text: {thought} (finish reason {reply.finish_reason})"


def worth_keeping(reply: Reply) -> Reply | None:
    """The reply, or None if another ask may help: it was interrupted, or ended without a text. A reply that spent all
    its tokens on thinking is kept, as another one probably would too."""
    empty = not reply.text.strip() and reply.finish_reason == "stop"
    return None if reply.interrupted or empty else reply


def by_operator(reason: str) -> str:
    """Why a case is rejected that a person has ended."""
    return f"ended by an operator: {reason}"
