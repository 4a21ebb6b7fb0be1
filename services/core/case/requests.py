"""Builds model requests from a case."""

from collections.abc import Mapping
from typing import Any

from services.contracts.case import Case, Origin, Stage
from services.contracts.recipe import Recipe, Sampling, Task
from services.core import ids
from services.core.case import prompts
from services.core.ledger.calls import Request


def request(
    case: Case,
    recipe: Recipe,
    task: Task,
    stage: Stage,
    *,
    place: tuple[Origin, int, int],
    values: Mapping[str, str],
    schema: Mapping[str, Any] | None = None,
) -> Request:
    """The request of a recipe's task for the path at `place` (origin, round, slot), which also determines the seed.
    `values` fill the prompt beside the question; they include gold only for stages that may see it."""
    return Request(
        case_id=case.case_id,
        stage=stage,
        alias=task.alias,
        model=recipe.models[task.alias],
        prompt=prompts.render(task.prompt, question=prompts.question_block(case.question), **values),
        sampling=task.sampling,
        seed=ids.seed(case.case_id, stage, *place),
        ask=(case.asks_in, 0),
        schema=schema,
        system=task.system,
    )


def planned_request(case: Case, recipe: Recipe, slot: int) -> Request:
    """The request that generates the path of a slot of the plan."""
    plan = recipe.generate
    alias, temperature = plan.plan[slot].alias, plan.plan[slot].temperature
    sampling = Sampling(temperature=temperature, top_p=plan.top_p, max_tokens=plan.max_tokens)
    task = Task(alias=alias, prompt=plan.prompt, sampling=sampling, system=plan.system)
    return request(case, recipe, task, "generate", place=("generated", 0, slot), values={})
