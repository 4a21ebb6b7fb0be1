"""What a case can cost, and will probably cost, by its recipe. Pure; in nano-USD."""

from collections.abc import Iterator

from services.contracts.base import CaseId
from services.contracts.case import Usage
from services.contracts.recipe import Recipe, Task
from services.core.ledger.spending import price_of

Planned = tuple[str, int, int]
"""A model alias, the most tokens of a reply, and how many such calls there can be."""


def ceiling(recipe: Recipe) -> int:
    """More than this no case costs: the longer of its ways, every reply asked for as often as the recipe allows, every
    prompt as long as the model's context, every reply cut off at its limit."""
    routing = recipe.routing
    medium = _way(recipe, recipe.refine, routing.keep, recipe.max_asks)
    difficult = _way(recipe, recipe.reason, routing.strong_paths * routing.rounds, recipe.max_asks)
    return max(sum(_full(recipe, call) for call in way) for way in (list(medium), list(difficult)))


def prior(recipe: Recipe) -> int:
    """What a case will probably cost, as long as too few have ended to tell: a medium one, each reply asked for once,
    each prompt and each reply as long as a reply may be. Real replies are shorter, so real cases are cheaper."""
    way = _way(recipe, recipe.refine, recipe.routing.keep, 1)
    return min(ceiling(recipe), sum(_cost(recipe, alias, tokens, tokens) * count for alias, tokens, count in way))


def _way(recipe: Recipe, writing: Task, written: int, asks: int) -> Iterator[Planned]:
    """The calls of a case that goes through all stages."""
    for slot in recipe.generate.plan:
        yield slot.alias, recipe.generate.max_tokens, 1
    yield writing.alias, writing.sampling.max_tokens, written
    paths = len(recipe.generate.plan) + written
    for task in (recipe.verify, recipe.score):
        if task is not None:
            yield task.alias, task.sampling.max_tokens, paths * asks
    yield recipe.summarize.alias, recipe.summarize.sampling.max_tokens, recipe.routing.keep * asks


def _full(recipe: Recipe, call: Planned) -> int:
    alias, tokens, count = call
    return _cost(recipe, alias, recipe.models[alias].context_tokens, tokens) * count


def _cost(recipe: Recipe, alias: str, prompt: int, completion: int) -> int:
    price = price_of(recipe.models[alias], case_id=CaseId(""), alias=alias, stage="")
    return price.nano_usd(Usage(prompt=prompt, completion=completion))
