"""Two lanes: medium rewrites a case's best paths; difficult reasons the case again."""

from collections.abc import Sequence

from services.contracts.case import Case, Origin, Path, Stage
from services.contracts.recipe import Recipe, Task
from services.contracts.topics import PATHS_GENERATED
from services.core.case import prompts
from services.core.case.asking import ask_until_read
from services.core.case.paths import best, from_answers, planned, reasons, worth_keeping
from services.core.case.requests import request
from services.core.ledger.calls import Request
from services.core.messages import Emit
from services.core.models import Models


async def refine(case: Case, recipe: Recipe, models: Models) -> list[Emit]:
    """The error refiner: rewrites each of the best paths, given the verifier's reasons on it and on the others."""
    paths = planned(case)
    parents = best(paths, recipe.routing.keep)
    requests = [
        _request(
            case,
            recipe,
            recipe.refine,
            "refine",
            ("refined", case.rounds + 1, slot),
            {
                "path": parent.text,
                "own_reason": prompts.bullets(reasons([parent])),
                "other_reasons": prompts.bullets(reasons(p for p in paths if p.path_id != parent.path_id)),
            },
        )
        for slot, parent in enumerate(parents)
    ]
    return await _write(case, recipe, models, requests, "refined", [[parent] for parent in parents])


async def reason_again(case: Case, recipe: Recipe, models: Models) -> list[Emit]:
    """The difficult-case optimizer: the strong model starts over, given the reasons why all earlier paths failed."""
    failed = [path for path in case.paths if path.standing == "error"]
    values = {"reasons": prompts.bullets(reasons(failed))}
    requests = [
        _request(case, recipe, recipe.reason, "reason", ("regenerated", case.rounds + 1, slot), values)
        for slot in range(recipe.routing.strong_paths)
    ]
    return await _write(case, recipe, models, requests, "regenerated", [failed] * len(requests))


def _request(
    case: Case, recipe: Recipe, task: Task, stage: Stage, place: tuple[Origin, int, int], values: dict[str, str]
) -> Request:
    """The prompt contains the gold answer, which the text must not mention as given."""
    return request(case, recipe, task, stage, place=place, values={"gold": prompts.gold(case.question), **values})


async def _write(
    case: Case,
    recipe: Recipe,
    models: Models,
    requests: Sequence[Request],
    origin: Origin,
    parents: Sequence[Sequence[Path]],
) -> list[Emit]:
    round = case.rounds + 1
    readings = await ask_until_read(models, requests, worth_keeping, recipe.max_asks)
    new = [
        from_answers(case, reading.answers, origin=origin, round=round, slot=slot, parents=parents[slot])
        for slot, reading in enumerate(readings)
    ]
    return [Emit(PATHS_GENERATED, case.case_id, case.with_(paths=(*case.paths, *new), rounds=round))]
