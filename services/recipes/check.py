"""Checks of a recipe file beyond its field types, run before it is published.

Published recipes are not checked again: a rule added later must not break open cases.
"""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from services.contracts.case import Stage
from services.contracts.recipe import Model, Recipe, Sampling, Task

_NAME = re.compile(r"(\\[A-Za-z]+)?\{([a-z][a-z_]+)\}")
"""A placeholder; with group 1 it is the argument of a LaTeX command instead, such as \\text{none}."""

OWN_FIELDS = frozenset(
    ("model", "messages", "stream", "n", "temperature", "top_p", "max_tokens", "max_completion_tokens", "seed")
)
"""Request fields with a field of their own in a recipe."""

MOST_PATHS = 200
"""The most paths of a case over all rounds; a larger message does not fit into Kafka's limit."""


class Placeholders(NamedTuple):
    """The placeholders of a stage's prompt."""

    needed: frozenset[str]
    optional: frozenset[str] = frozenset()


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


PLACEHOLDERS: Mapping[str, Placeholders] = {
    "generate": Placeholders(_names("question")),
    "verify": Placeholders(_names("question gold path")),
    "verify of steps": Placeholders(_names("question gold steps")),
    "score": Placeholders(_names("question path"), _names("gold")),
    "refine": Placeholders(_names("question path"), _names("gold own_reason other_reasons")),
    "reason": Placeholders(_names("question"), _names("gold reasons")),
    "summarize": Placeholders(_names("path"), _names("question")),
    "evaluate": Placeholders(_names("question path"), _names("gold")),
}
"""By stage. A prompt without a needed placeholder lacks its input; an unknown placeholder would be sent literally."""


def problems(recipe: Recipe) -> list[str]:
    """The reasons why the recipe cannot be published, each with its field and the remedy; empty if it can."""
    return [
        *(problem for stage, task in tasks(recipe) for problem in _task(recipe, stage, task)),
        *(problem for alias, model in recipe.models.items() for problem in _model(alias, model)),
        *_routing(recipe),
    ]


def tasks(recipe: Recipe) -> Iterator[tuple[Stage, Task]]:
    """The recipe's tasks with their stage: one per slot of the plan, then the other stages."""
    plan = recipe.generate
    for slot in plan.plan:
        sampling = Sampling(temperature=slot.temperature, top_p=plan.top_p, max_tokens=plan.max_tokens)
        yield "generate", Task(alias=slot.alias, prompt=plan.prompt, sampling=sampling, system=plan.system)
    yield "verify", recipe.verify
    if recipe.score is not None:
        yield "score", recipe.score
    yield "refine", recipe.refine
    yield "reason", recipe.reason
    yield "summarize", recipe.summarize


def prompt_problems(stage: str, prompt: str, kind: str | None = None) -> Iterator[str]:
    """The problems with the placeholders of a stage's prompt, or of this kind of it."""
    needed, optional = PLACEHOLDERS[kind or stage]
    found = {match[2] for match in _NAME.finditer(prompt) if match[1] is None}
    for name in sorted(found - needed - optional):
        yield f"{stage}.prompt: {{{name}}} is not a placeholder of this stage{_instead(name, needed | optional)}"
    for name in sorted(needed - found):
        yield f"{stage}.prompt: {{{name}}} is missing"


def suggestion(name: str, known: frozenset[str] | set[str]) -> str:
    """` (did you mean …?)` if a known name is close; otherwise empty."""
    close = get_close_matches(name, sorted(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _instead(name: str, known: frozenset[str]) -> str:
    close = suggestion(name, known)
    return close or f": it has {', '.join(f'{{{each}}}' for each in sorted(known))}"


def _task(recipe: Recipe, stage: str, task: Task) -> Iterator[str]:
    of_steps = stage == "verify" and recipe.verdict == "steps"
    yield from prompt_problems(stage, task.prompt, "verify of steps" if of_steps else None)
    most = recipe.models[task.alias].context_tokens
    if task.sampling.max_tokens >= most:
        yield (
            f"{stage}: max_tokens {task.sampling.max_tokens} leaves no room for a prompt in models.{task.alias}."
            f"context_tokens {most}: lower max_tokens, or raise context_tokens if the server allows it"
        )


def _model(alias: str, model: Model) -> Iterator[str]:
    for name in sorted(OWN_FIELDS & (model.extra_body or {}).keys()):
        yield f"models.{alias}.extra_body.{name}: has a field of its own in the recipe; use that field"


def _routing(recipe: Recipe) -> Iterator[str]:
    routing, planned = recipe.routing, len(recipe.generate.plan)
    if routing.max_unknown >= (most := planned - routing.medium):
        yield (
            f"routing.max_unknown: {routing.max_unknown} unknown paths of {planned} leave fewer than medium "
            f"({routing.medium}) to choose a route: set less than {most}"
        )
    paths = planned + max(routing.keep, routing.rounds * routing.strong_paths)
    if paths > MOST_PATHS:
        yield f"routing: a case could have {paths} paths, more than {MOST_PATHS}: lower rounds or strong_paths"


def filled(data: Any) -> Any:
    """Fill in sampling fields that a model omits and the file leaves out, with the server's default.

    Data that is not a recipe is returned unchanged; validation reports its errors.
    """
    if not isinstance(data, dict) or not isinstance(models := data.get("models"), dict):
        return data
    data = dict(data)
    if isinstance(plan := data.get("generate"), dict) and isinstance(slots := plan.get("plan"), list):
        data["generate"] = plan | {"plan": [_filled(slot, slot, models) for slot in slots]}
    for stage in ("verify", "score", "refine", "reason", "summarize"):
        if isinstance(task := data.get(stage), dict) and isinstance(sampling := task.get("sampling", {}), dict):
            data[stage] = task | {"sampling": _filled(sampling, task, models)}
    return data


def _filled(fields: Any, owner: Any, models: Mapping[str, Any]) -> Any:
    model = models.get(str(owner.get("alias"))) if isinstance(owner, dict) else None
    if not isinstance(fields, dict) or not isinstance(model, dict):
        return fields
    omitted = model.get("omit") or ()
    given = {name: value for name, value in fields.items() if value is not None or name not in omitted}
    return ({"temperature": 1.0} if "temperature" in omitted else {}) | given
