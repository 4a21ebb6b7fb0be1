"""The cost of a case by stage, and each record's share."""

from collections.abc import Iterable

from services.contracts.case import Call, Stage, Usage
from services.contracts.recipe import Recipe


def usage_by_stage(calls: Iterable[Call]) -> dict[Stage, Usage]:
    """Tokens by stage. A call of several paths counts once."""
    sums: dict[Stage, Usage] = {}
    for call in {call.call_id: call for call in calls}.values():
        sums[call.stage] = sums.get(call.stage, Usage()) + call.usage
    return sums


def cost_by_stage(calls: Iterable[Call], recipe: Recipe) -> dict[Stage, float]:
    """USD by stage, by the recipe's prices per million tokens; cached tokens at the full price."""
    sums: dict[Stage, float] = {}
    for call in {call.call_id: call for call in calls}.values():
        model = recipe.models[call.alias]
        cost = (call.usage.prompt * model.price_in + call.usage.completion * model.price_out) / 1_000_000
        sums[call.stage] = sums.get(call.stage, 0.0) + cost
    return sums
