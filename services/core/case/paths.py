"""Reading and making paths: what several services need to know of them."""

from collections.abc import Iterable, Sequence

from services.contracts.case import Case, Origin, Path
from services.core.case import ids
from services.core.ledger.calls import Answer, Failure, Reply


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


def from_answers(
    case: Case, answers: Sequence[Answer], *, origin: Origin, round: int, slot: int, parents: Iterable[Path] = ()
) -> Path:
    """A path, unverified, from the last of the answers to its asks; all are in its calls. Where that holds no whole
    text, or one that was cut off, the path carries the reason as its failure, and is unknown."""
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
    """Why a reply can't be a path or a summary: interrupted, refused or empty; nothing where it holds a text, be it one
    that was cut off."""
    if reply.interrupted or reply.refused:
        return reply.problem or "interrupted: the server ended the text"
    if reply.text.strip():
        return ""
    thought = "all of the reply is thinking" if reply.thinking.strip() else "the reply is empty"
    return f"no text: {thought} (finish reason {reply.finish_reason})"


def worth_keeping(reply: Reply) -> Reply | None:
    """The reply, unless another ask may well bring more: it was interrupted, or ended without a text. One that spent
    all its tokens on thinking would do so again."""
    empty = not reply.text.strip() and reply.finish_reason == "stop"
    return None if reply.interrupted or empty else reply
