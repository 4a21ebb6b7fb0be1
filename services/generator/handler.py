"""Chains of thought for a new case."""

from services.contracts.case import Case
from services.contracts.recipe import Recipe, Sampling
from services.contracts.topics import PATHS_GENERATED
from services.core import ids, prompts
from services.core.calls import Request
from services.core.paths import from_answer, planned
from services.core.ports import Emit, Models


async def generate(case: Case, recipe: Recipe, models: Models) -> list[Emit]:
    """Ask for all of the case's missing paths at once; one call a slot of the plan. The model never sees gold."""
    there = {path.slot for path in planned(case)}
    missing = [slot for slot in range(len(recipe.generate.plan)) if slot not in there]
    answers = await models.ask([request(case, recipe, slot) for slot in missing])
    new = [
        from_answer(case, answer, origin="generated", round=0, slot=slot)
        for slot, answer in zip(missing, answers, strict=True)
    ]
    return [Emit(PATHS_GENERATED, case.case_id, case.with_(paths=(*case.paths, *new)))]


def request(case: Case, recipe: Recipe, slot: int) -> Request:
    """The call that writes the path of this slot."""
    plan = recipe.generate
    alias, temperature = plan.plan[slot].alias, plan.plan[slot].temperature
    return Request(
        case_id=case.case_id,
        stage="generate",
        alias=alias,
        model=recipe.models[alias],
        prompt=prompts.render(plan.prompt, question=prompts.question_block(case.question)),
        sampling=Sampling(temperature=temperature, top_p=plan.top_p, max_tokens=plan.max_tokens),
        seed=ids.seed(case.case_id, "generate", "generated", 0, slot),
        ask=(case.life, 0),
    )
