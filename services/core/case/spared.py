"""The calls that a case did not need, which `sampling: full` and `judge: all` would have made. Pure.

Calls are exact, but for two kinds that depend on replies which nobody asked for: a path that was never written counts
as judged once with `judge: all` (not at all with `judge: needed`), and never as scored. Money is an estimate.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from services.contracts.case import Call, Case, Spared, Stage, Usage
from services.contracts.recipe import Recipe
from services.core.case.judging import spared_a_verdict
from services.core.case.paths import planned

DIGITS = 9
"""Of an estimate in USD."""


def spared(case: Case, recipe: Recipe) -> tuple[Spared, ...]:
    """What a case that has ended did not need."""
    return tuple(_spared(case, recipe))


def _spared(case: Case, recipe: Recipe) -> Iterator[Spared]:
    if recipe.sampling == "adaptive":
        asked = {path.slot for path in planned(case)}
        missing = [slot.alias for number, slot in enumerate(recipe.generate.plan) if number not in asked]
        yield from _calls("sampling", "generate", missing, case, recipe)
        if recipe.judge == "all":
            yield from _calls("sampling", "verify", [recipe.verify.alias] * len(missing), case, recipe)
    if recipe.judge == "needed":
        unjudged = [recipe.verify.alias for path in case.paths if spared_a_verdict(path)]
        yield from _calls("judging", "verify", unjudged, case, recipe)
        if recipe.score is not None:
            unscored = [path for path in case.paths if path.standing == "correct" and path.score is None]
            yield from _calls("judging", "score", [recipe.score.alias] * len(unscored), case, recipe)


def _calls(
    by: Literal["sampling", "judging"], stage: Stage, aliases: Sequence[str], case: Case, recipe: Recipe
) -> Iterator[Spared]:
    """The calls of these aliases; none, if there are none."""
    if not aliases:
        return
    made = list({call.call_id: call for path in case.paths for call in path.calls}.values())
    usd = sum(_usd(alias, stage, made, recipe) for alias in aliases)
    yield Spared(by=by, stage=stage, calls=len(aliases), usd=round(usd, DIGITS))


def _usd(alias: str, stage: Stage, made: Sequence[Call], recipe: Recipe) -> float:
    """The price of a call with the mean tokens of this model's calls of the stage; without any, of all of the stage's;
    without these, of the judge's verdicts."""
    of_stage = [call for call in made if call.stage == stage] or [call for call in made if call.stage == "verify"]
    of_model = [call for call in of_stage if call.alias == alias] or of_stage
    usage, model = _sum(call.usage for call in of_model), recipe.models[alias]
    cost = usage.prompt * model.price_in + usage.completion * model.price_out
    return cost / 1_000_000 / max(1, len(of_model))


def _sum(usages: Iterable[Usage]) -> Usage:
    return sum(usages, Usage())
