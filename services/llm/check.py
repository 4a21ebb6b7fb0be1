"""Checks that each model of a recipe answers: requests one token in the form that the recipe's stages use."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.contracts.base import CaseId
from services.contracts.case import Stage
from services.contracts.recipe import Recipe
from services.core import ids
from services.core.endpoint import Endpoint
from services.core.errors import Trouble
from services.core.ledger.calls import Request
from services.llm.client import Client
from services.recipes.check import tasks

JSON_STAGES = ("verify", "score")
"""Their replies are JSON by a schema."""

_SCHEMA: Mapping[str, Any] = {
    "title": "check",
    "type": "object",
    "properties": {"verdict": {"type": "string"}},
    "required": ["verdict"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Checked:
    """Whether one form of request works for an alias."""

    alias: str
    served: str
    stages: tuple[str, ...]
    """The stages that use this form of request."""
    trouble: str | None
    """None if it works, else the reason and the remedy."""


def aliases(recipe: Recipe, stages: Collection[Stage]) -> frozenset[str]:
    """The recipe's aliases that these stages ask."""
    return frozenset(task.alias for stage, task in tasks(recipe) if stage in stages)


async def check(recipe: Recipe, endpoints: Mapping[str, Endpoint], client: Client, *, owner: str) -> list[Checked]:
    """Call each alias of the recipe once per form of request that its stages use. Writes nothing to the ledger."""
    forms: dict[tuple[str, bool], list[str]] = {}
    first: dict[tuple[str, bool], Request] = {}
    for stage, request in _requests(recipe):
        form = (request.alias, request.schema is not None)
        first.setdefault(form, request)
        if stage not in forms.setdefault(form, []):
            forms[form].append(stage)
    return [
        Checked(
            alias,
            recipe.models[alias].served,
            tuple(forms[alias, schema]),
            await _ask(request, endpoints, client, owner),
        )
        for (alias, schema), request in sorted(first.items(), key=lambda item: item[0])
    ]


def _requests(recipe: Recipe) -> Iterator[tuple[Stage, Request]]:
    for stage, task in tasks(recipe):
        yield (
            stage,
            Request(
                case_id=CaseId(ids.digest("case", "check")),
                stage=stage,
                alias=task.alias,
                model=recipe.models[task.alias],
                prompt="Answer with one word: yes.",
                sampling=task.sampling.with_(max_tokens=1),
                seed=1,
                schema=_SCHEMA if stage in JSON_STAGES else None,
                system=task.system,
            ),
        )


async def _ask(request: Request, endpoints: Mapping[str, Endpoint], client: Client, owner: str) -> str | None:
    if request.alias not in endpoints:
        return "no endpoint: name one in REASONMED_MODELS, or give --llm-url for all aliases"
    try:
        await client.send(request, owner=owner, attempt=f"probe.check.{request.call_id}")
    except Trouble as trouble:
        return str(trouble)
    return None
