"""Verdict and score for every unverified path."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from services.contracts.case import Case, Path, Score, Stage
from services.contracts.recipe import Recipe, Task
from services.contracts.topics import PATHS_VERIFIED
from services.core.case import prompts
from services.core.case.asking import Reader, Reading, ask_until_read
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


async def verify(case: Case, recipe: Recipe, models: Models) -> list[Emit]:
    """Check without a model, judge the remaining paths, then score correct ones. No path stays unverified."""
    paths = {path.path_id: _settled(path, case) for path in case.paths}
    judge = _judge_and_score if recipe.score is None else _judge_then_score
    unverified = [path for path in paths.values() if path.standing == "unverified"]
    for path in await judge(case, unverified, recipe, models):
        paths[path.path_id] = path
    return [Emit(PATHS_VERIFIED, case.case_id, case.with_(paths=tuple(paths.values())))]


def _settled(path: Path, case: Case) -> Path:
    if path.verdict is not None:
        return path
    verdict = checks.before_judging(path, case.question)
    return path if verdict is None else path.with_(verdict=verdict)


async def _judge_then_score(case: Case, paths: Sequence[Path], recipe: Recipe, models: Models) -> list[Path]:
    """Two calls: only paths that are correct by the judge and by their stated answer are scored."""
    schema = VERDICT_SCHEMA if recipe.verdict is None else STEPS_SCHEMA
    requests = [_request(case, path, recipe.verify, "verify", schema, recipe) for path in paths]
    readers = [_reader(path, recipe) for path in paths]
    verdicts = await ask_until_read(models, requests, readers, recipe.max_asks)
    judged = [_with_verdict(path, case, reading) for path, reading in zip(paths, verdicts, strict=True)]

    assert recipe.score is not None
    correct = [path for path in judged if path.standing == "correct"]
    requests = [_request(case, path, recipe.score, "score", SCORE_SCHEMA, recipe) for path in correct]
    scores = await ask_until_read(models, requests, replies.score, recipe.max_asks)
    scored = {
        path.path_id: _with_score(path, reading.value, reading.why_not).with_(calls=(*path.calls, *reading.calls))
        for path, reading in zip(correct, scores, strict=True)
    }
    return [scored.get(path.path_id, path) for path in judged]


async def _judge_and_score(case: Case, paths: Sequence[Path], recipe: Recipe, models: Models) -> list[Path]:
    """One call for verdict and score."""
    schema = BOTH_SCHEMA if recipe.verdict is None else STEPS_AND_SCORE_SCHEMA
    requests = [_request(case, path, recipe.verify, "verify", schema, recipe) for path in paths]
    readers = [partial(_both, _reader(path, recipe)) for path in paths]
    readings = await ask_until_read(models, requests, readers, recipe.max_asks)
    done = []
    for path, reading in zip(paths, readings, strict=True):
        judged, scored = reading.value if reading.value is not None else (None, None)
        path = _with_verdict(path, case, Reading(judged, reading.why_not, reading.answers))
        done.append(_with_score(path, scored, reading.why_not) if path.standing == "correct" else path)
    return done


def _reader(path: Path, recipe: Recipe) -> Reader[Judged]:
    if recipe.verdict is None:
        return replies.verdict
    return partial(replies.verdict_of_steps, ends=step_ends(path.text))


def _both(read: Reader[Judged], reply: Reply) -> tuple[Judged, Scored | None] | None:
    """The verdict, with its score if it can be parsed: an unreadable score does not discard a paid verdict."""
    judged = read(reply)
    return None if judged is None else (judged, replies.score(reply))


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
