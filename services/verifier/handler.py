"""Verdict and score for every unverified path."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from services.contracts.case import Case, Path, Score, Stage
from services.contracts.recipe import Recipe, Task
from services.contracts.topics import PATHS_VERIFIED
from services.core.case import prompts
from services.core.case.asking import Reader, Reading, ask_until_read
from services.core.case.judging import awaited_reasons, awaited_scores, needs_no_judge
from services.core.case.requests import request
from services.core.case.steps import numbered, step_ends
from services.core.ledger.calls import Reply, Request
from services.core.messages import Emit
from services.core.models import Models
from services.verifier import checks, replies
from services.verifier.replies import Judged, Scored
from services.verifier.verdict_schema import (
    BOTH_SCHEMA,
    SCORE_SCHEMA,
    STEPS_AND_SCORE_SCHEMA,
    STEPS_SCHEMA,
    VERDICT_SCHEMA,
)

_SCHEMAS = {
    (False, False): VERDICT_SCHEMA,
    (False, True): STEPS_SCHEMA,
    (True, False): BOTH_SCHEMA,
    (True, True): STEPS_AND_SCORE_SCHEMA,
}
"""By whether the reply also has a score, and whether it names steps."""


async def verify(case: Case, recipe: Recipe, models: Models) -> list[Emit]:
    """Check without a model, judge the remaining paths, then score correct ones. No path stays unverified.

    With `judge: needed` only where it can matter (services.core.case.judging).
    """
    case = _with(case, [_settled(path, case, recipe) for path in case.paths])
    case = await _judged(case, [path for path in case.paths if path.standing == "unverified"], recipe, models)
    case = await _judged(case, awaited_reasons(case, recipe), recipe, models)
    if recipe.score is not None:
        case = await _scored(case, awaited_scores(case, recipe), recipe, recipe.score, models)
    return [Emit(PATHS_VERIFIED, case.case_id, case)]


def _with(case: Case, new: Iterable[Path]) -> Case:
    """The case with these paths in place of those of the same id."""
    paths = {path.path_id: path for path in (*case.paths, *new)}
    return case.with_(paths=tuple(paths.values()))


def _settled(path: Path, case: Case, recipe: Recipe) -> Path:
    if path.verdict is not None:
        return path
    verdict = checks.before_judging(path, case.question)
    if verdict is None and needs_no_judge(path, case, recipe):
        verdict = checks.verdict(path, case.question, None, "")
    return path if verdict is None else path.with_(verdict=verdict)


async def _judged(case: Case, paths: Sequence[Path], recipe: Recipe, models: Models) -> Case:
    """With verdicts; in a recipe without a task for scores also with these, which come in the same reply."""
    schema = _SCHEMAS[recipe.score is None, recipe.verdict == "steps"]
    requests = [_request(case, path, recipe.verify, "verify", schema, recipe) for path in paths]
    readers = [partial(_verdict_and_score, _reader(path, recipe), recipe.score is None) for path in paths]
    readings = await ask_until_read(models, requests, readers, recipe.max_asks)
    done = []
    for path, reading in zip(paths, readings, strict=True):
        judged, scored = reading.value if reading.value is not None else (None, None)
        path = _with_verdict(path, case, Reading(judged, reading.why_not, reading.answers))
        with_score = recipe.score is None and path.standing == "correct"
        done.append(_with_score(path, scored, reading.why_not) if with_score else path)
    return _with(case, done)


async def _scored(case: Case, paths: Sequence[Path], recipe: Recipe, task: Task, models: Models) -> Case:
    requests = [_request(case, path, task, "score", SCORE_SCHEMA, recipe) for path in paths]
    scores = await ask_until_read(models, requests, replies.score, recipe.max_asks)
    return _with(
        case,
        [
            _with_score(path, reading.value, reading.why_not).with_(calls=(*path.calls, *reading.calls))
            for path, reading in zip(paths, scores, strict=True)
        ],
    )


def _reader(path: Path, recipe: Recipe) -> Reader[Judged]:
    if recipe.verdict is None:
        return replies.verdict
    return partial(replies.verdict_of_steps, ends=step_ends(path.text))


def _verdict_and_score(read: Reader[Judged], both: bool, reply: Reply) -> tuple[Judged, Scored | None] | None:
    """The verdict, with its score if it was asked for and can be parsed: an unreadable score does not discard a paid
    verdict."""
    judged = read(reply)
    return None if judged is None else (judged, replies.score(reply) if both else None)


def _with_verdict(path: Path, case: Case, reading: Reading[Judged]) -> Path:
    verdict = checks.verdict(path, case.question, reading.value, reading.why_not)
    return path.with_(verdict=verdict, calls=(*path.calls, *reading.calls))


def _with_score(path: Path, scored: Scored | None, why_not: str) -> Path:
    if scored is None:
        return path.with_(score=Score(value=None, justification=why_not[:4_000]))
    return path.with_(score=Score(value=scored.value, justification=scored.justification))


def _request(case: Case, path: Path, task: Task, stage: Stage, schema: dict[str, Any], recipe: Recipe) -> Request:
    place = (path.origin, path.round, path.slot)
    values = {"gold": prompts.gold(case.question), "path": path.text}
    if stage == "verify" and recipe.verdict == "steps":
        values["steps"] = numbered(path.text, step_ends(path.text))
    return request(case, recipe, task, stage, place=place, values=values, schema=schema)
