"""Summarizes each kept path, and builds its record."""

from services.contracts.case import Call, Case, Path, Score
from services.contracts.recipe import Recipe
from services.contracts.record import FaultyPath, Record
from services.contracts.topics import RECORD_COMPLETED
from services.core import ids
from services.core.case.asking import Reading, ask_until_read
from services.core.case.requests import request
from services.core.errors import Dead
from services.core.ledger.calls import Reply, Request
from services.core.messages import Emit
from services.core.models import Models
from services.summarizer.costs import cost_by_stage, usage_by_stage


async def summarize(case: Case, recipe: Recipe, models: Models) -> list[Emit]:
    """One record per kept path. Raises Dead('no_summary') if a path has none: a case ends with all its records."""
    kept = [case.path(path_id) for path_id in case.kept]
    requests = [_request(case, path, recipe) for path in kept]
    summaries = await ask_until_read(models, requests, _whole_text, recipe.max_asks)
    return [
        Emit(RECORD_COMPLETED, case.case_id, _record(case, recipe, index, path, summary))
        for index, (path, summary) in enumerate(zip(kept, summaries, strict=True))
    ]


def _whole_text(reply: Reply) -> str | None:
    """The reply's text, if it is complete: not empty, cut off or interrupted."""
    text = reply.text.strip()
    return text if text and reply.finish_reason == "stop" else None


def _record(case: Case, recipe: Recipe, index: int, path: Path, summary: Reading[str]) -> Record:
    if summary.value is None:
        raise Dead("no_summary", f"no summary of {path.path_id}: {summary.why_not}; mend the model, then redrive")
    assert path.verdict is not None
    assert case.difficulty is not None
    shared, own = [call for p in case.paths for call in p.calls], list(summary.calls)
    of = len(case.kept)
    return Record(
        record_id=ids.record_id(case.work_id, path.path_id),
        work_id=case.work_id,
        case_id=case.case_id,
        recipe_id=case.recipe_id,
        life=case.life,
        index=index,
        of=of,
        question=case.question,
        difficulty=case.difficulty,
        gold_disputed=case.gold_disputed,
        path_id=path.path_id,
        origin=path.origin,
        parents=path.parents,
        alias=path.alias,
        model=_model(path, recipe),
        temperature=path.temperature,
        chain=path.text,
        summary=summary.value,
        verdict=path.verdict,
        score=path.score or Score(value=None),
        in_error=_in_error(case, recipe) if index == 0 and recipe.verdict == "steps" else None,
        spared=case.spared if index == 0 else (),
        calls=_lineage(case, path, own),
        usage=usage_by_stage([*shared, *own]),
        cost={
            **{stage: cost / of for stage, cost in cost_by_stage(shared, recipe).items()},
            **cost_by_stage(own, recipe),
        },
    )


def _model(path: Path, recipe: Recipe) -> str:
    model = recipe.models[path.alias]
    return f"{model.served}@{model.revision}"


def _in_error(case: Case, recipe: Recipe) -> tuple[FaultyPath, ...]:
    return tuple(
        FaultyPath(
            path_id=path.path_id,
            origin=path.origin,
            alias=path.alias,
            model=_model(path, recipe),
            temperature=path.temperature,
            text=path.text,
            reason=path.verdict.reason,
            steps=path.verdict.steps,
        )
        for path in case.paths
        if path.verdict is not None and path.verdict.steps is not None and path.verdict.steps.errors
    )


def _lineage(case: Case, path: Path, summary: list[Call]) -> tuple[Call, ...]:
    """The calls of the path's parents, the path and its summary, in this order; each once."""
    parents = [call for parent in path.parents for call in case.path(parent).calls]
    return tuple({call.call_id: call for call in [*parents, *path.calls, *summary]}.values())


def _request(case: Case, path: Path, recipe: Recipe) -> Request:
    place = (path.origin, path.round, path.slot)
    return request(case, recipe, recipe.summarize, "summarize", place=place, values={"path": path.text})
