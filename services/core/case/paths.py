"""Reading and making paths: what several services need to know of them."""

from collections.abc import Iterable

from services.contracts.case import Case, Origin, Path
from services.core.case import ids
from services.core.ledger.calls import Answer, Failure


def planned(case: Case) -> list[Path]:
    """The plan's paths, in plan order."""
    return sorted((path for path in case.paths if path.origin == "generated"), key=lambda path: path.slot)


def of_round(case: Case, round: int) -> list[Path]:
    """The paths that a refining round (from 1) wrote, in order."""
    return sorted((p for p in case.paths if p.origin != "generated" and p.round == round), key=lambda p: p.slot)


def rank(path: Path) -> int:
    """Its score, as a number to compare: a correct path that could not be scored ranks below 0."""
    return -1 if path.score is None or path.score.value is None else path.score.value


def wording(path: Path) -> str:
    """Its text, blanks aside: paths of the same wording are one and the same to a reader."""
    return " ".join(path.text.split())


def best(paths: Iterable[Path], count: int) -> list[Path]:
    """The best correct paths by score, of different texts; ties stay in the given order."""
    unlike: dict[str, Path] = {}
    for path in sorted((p for p in paths if p.standing == "correct"), key=rank, reverse=True):
        unlike.setdefault(wording(path), path)
    return list(unlike.values())[:count]


def reasons(paths: Iterable[Path]) -> list[str]:
    """What was found of these paths; why one could not be judged says nothing of it."""
    verdicts = [path.verdict for path in paths if path.verdict is not None]
    return [verdict.reason for verdict in verdicts if verdict.outcome != "unjudged" and verdict.reason]


def from_answer(
    case: Case, answer: Answer, *, origin: Origin, round: int, slot: int, parents: Iterable[Path] = ()
) -> Path:
    """A path, unverified, from what a model answered; one whose call failed for good carries the failure."""
    outcome = answer.outcome
    path = Path(
        path_id=ids.path_id(case.work_id, origin, round, slot),
        origin=origin,
        round=round,
        slot=slot,
        alias=answer.request.alias,
        temperature=answer.request.sampling.temperature,
        parents=tuple(parent.path_id for parent in parents),
        calls=(answer.call,),
    )
    if isinstance(outcome, Failure):
        return path.with_(failure=outcome.reason)
    return path.with_(text=outcome.text, finish_reason=outcome.finish_reason)
