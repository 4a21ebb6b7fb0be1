"""Upper bound and first estimate of the cost of a case, by its recipe. Pure; in nano-USD."""

from collections.abc import Iterator

from services.contracts.base import CaseId
from services.contracts.case import Usage
from services.contracts.recipe import Recipe, Task
from services.core.ledger.spending import price_of

Planned = tuple[str, int, int]
"""A model alias, the most tokens of a reply, and the number of such calls."""


def ceiling(recipe: Recipe) -> int:
    """The most that a case can cost: on the more expensive route, with as many asks as the recipe allows, every prompt
    as long as the model's context, and every reply at its token limit."""
    routing = recipe.routing
    medium = _way(recipe, recipe.refine, routing.keep, recipe.max_asks)
    difficult = _way(recipe, recipe.reason, routing.strong_paths * routing.rounds, recipe.max_asks)
    return max(sum(_full(recipe, call) for call in way) for way in (list(medium), list(difficult)))


def prior(recipe: Recipe) -> int:
    """The estimate for a case until enough cases have ended for a mean: a medium case, one ask per reply, and prompts
    and replies of the token limit of a reply. Real replies are shorter, so real cases cost less."""
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
