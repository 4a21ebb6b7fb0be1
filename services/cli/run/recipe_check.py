"""Whether the models of a recipe answer."""

from services.cli.coordinates import environment_settings
from services.contracts.recipe import Recipe
from services.core.endpoint import Endpoint
from services.llm.check import Checked
from services.llm.check import check as check_models
from services.llm.client import ChatClient


async def check(recipe: Recipe, llm_url: str | None) -> list[Checked]:
    settings = environment_settings()
    endpoints = settings.models if llm_url is None else dict.fromkeys(recipe.models, Endpoint(llm_url))
    async with ChatClient(endpoints) as client:
        return await check_models(recipe, endpoints, client, owner="recipes-check")
