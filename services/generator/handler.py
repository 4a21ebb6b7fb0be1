"""Chains of thought for a case that needs them."""

from services.contracts.case import Case
from services.contracts.recipe import Recipe
from services.contracts.topics import PATHS_GENERATED
from services.core.case.asking import ask_until_read
from services.core.case.paths import from_answers, planned, worth_keeping
from services.core.case.requests import planned_request
from services.core.case.sampling import next_slots
from services.core.messages import Emit
from services.core.models import Models


async def generate(case: Case, recipe: Recipe, models: Models) -> list[Emit]:
    """Generate the missing paths of the case concurrently, one call per slot: all, or those that adaptive sampling asks
    for now. The prompt never contains gold."""
    missing = next_slots(case, recipe) if recipe.sampling == "adaptive" else _missing(case, recipe)
    requests = [planned_request(case, recipe, slot) for slot in missing]
    readings = await ask_until_read(models, requests, worth_keeping, recipe.max_asks)
    new = [
        from_answers(case, reading.answers, origin="generated", round=0, slot=slot)
        for slot, reading in zip(missing, readings, strict=True)
    ]
    return [Emit(PATHS_GENERATED, case.case_id, case.with_(paths=(*case.paths, *new)))]


def _missing(case: Case, recipe: Recipe) -> list[int]:
    there = {path.slot for path in planned(case)}
    return [slot for slot in range(len(recipe.generate.plan)) if slot not in there]
