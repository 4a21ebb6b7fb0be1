"""What a case asks of the models: measured in a stream, else assumed. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from services.contracts.recipe import Recipe

CallKind = tuple[str, str]
"""Alias and stage."""


@dataclass(frozen=True)
class Shares:
    """What becomes of a case. From 400 questions of the recordings under the recipe `default`; the scripted judge is
    wrong in 5% of its verdicts."""

    medium: float = 0.22
    difficult: float = 0.18
    rounds: float = 1.8
    """Of the strong model, of a difficult case."""
    scored: float = 0.58
    """Scores by verdict."""
    records: float = 1.57
    adaptive: float = 0.75
    """Of the plan's paths, those that adaptive sampling asks for."""
    needed: float = 0.9
    """Of the judge's calls, those left with `judge: needed`."""


@dataclass(frozen=True)
class Tokens:
    """Mean tokens of a call."""

    prompt: float
    completion: float


ASSUMED: Mapping[str, Tokens] = {
    "generate": Tokens(400, 900),
    "verify": Tokens(1_400, 150),
    "score": Tokens(1_400, 100),
    "refine": Tokens(1_800, 1_000),
    "reason": Tokens(1_500, 1_500),
    "summarize": Tokens(1_300, 200),
}
"""By stage, where nothing was measured: an assumption about chains of thought of six steps."""


@dataclass(frozen=True)
class Calls:
    """The calls of one model and stage."""

    alias: str
    stage: str
    of_case: float
    prompt: float
    """Mean tokens of a call."""
    completion: float
    per_s: float
    usd_of_case: float
    measured: bool


def _expected(recipe: Recipe, shares: Shares) -> dict[CallKind, float]:
    """Calls of a case."""
    routing = recipe.routing
    asked = shares.adaptive if recipe.sampling == "adaptive" else 1.0
    judged = shares.needed if recipe.judge == "needed" else 1.0
    refined = shares.medium * routing.keep
    reasoned = shares.difficult * shares.rounds * routing.strong_paths
    found: defaultdict[CallKind, float] = defaultdict(float)
    for alias, count in Counter(slot.alias for slot in recipe.generate.plan).items():
        found[alias, "generate"] = count * asked
    verdicts = (len(recipe.generate.plan) * asked + refined + reasoned) * judged
    found[recipe.verify.alias, "verify"] = verdicts
    if recipe.score is not None:
        found[recipe.score.alias, "score"] = verdicts * shares.scored
    found[recipe.refine.alias, "refine"] = refined
    found[recipe.reason.alias, "reason"] = reasoned
    found[recipe.summarize.alias, "summarize"] = shares.records
    return dict(found)


def calls(
    recipe: Recipe, shares: Shares, measured: Mapping[CallKind, tuple[float, Tokens]], per_s: float
) -> Iterator[Calls]:
    """The calls of `per_s` cases a second, by model and stage."""
    for kind, expected in _expected(recipe, shares).items():
        (alias, stage), model = kind, recipe.models[kind[0]]
        of_case, tokens = measured.get(kind, (expected, ASSUMED[stage]))
        usd = (tokens.prompt * model.price_in + tokens.completion * model.price_out) / 1e6
        yield Calls(
            alias=alias,
            stage=stage,
            of_case=round(of_case, 3),
            prompt=round(tokens.prompt),
            completion=round(tokens.completion),
            per_s=of_case * per_s,
            usd_of_case=of_case * usd,
            measured=kind in measured,
        )


def visits(shares: Shares) -> dict[str, float]:
    """How often a case comes to each stage."""
    again = shares.medium + shares.difficult * shares.rounds
    return {
        "generator": 1.0,
        "verifier": 1.0 + again,
        "refiner-medium": shares.medium,
        "refiner-difficult": shares.difficult * shares.rounds,
        "summarizer": 1.0,
    }
