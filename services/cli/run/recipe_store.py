"""Recipes: shipped ones, files, and those that are published."""

from collections.abc import Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

from services import recipes
from services.cli.console import Failed
from services.contracts.base import RecipeId
from services.contracts.codec import Malformed, UnknownVersion, decode, loads
from services.contracts.recipe import Recipe
from services.contracts.topics import CURRENT, RECIPES
from services.core import ids
from services.runtime.kafka.admin import held
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.reader import read_topic
from services.runtime.kafka.sink import KafkaSink
from services.worker.publishing import publish_recipe


def load(given: str) -> tuple[RecipeId, Recipe]:
    """A shipped recipe or a file, and its id. Raises what `recipes.load` does."""
    loaded = recipes.load(given)
    return ids.recipe_id(loaded), loaded


def is_local(given: str) -> bool:
    """Whether this names a shipped recipe or a file, not a published one."""
    file = Path(given)
    return (recipes.FOLDER / f"{given}.yaml").is_file() or file.exists() or file.name != given or bool(file.suffix)


def named(published: Mapping[str, Recipe], given: str) -> str | None:
    """The id of a published recipe, by its id or its name; of several with one name, the one published last."""
    if given in published:
        return given
    return next((key for key, recipe in reversed(list(published.items())) if recipe.name == given), None)


async def publish(kafka: KafkaClient, recipe: Recipe, current: bool) -> str:
    if not await held(kafka, [RECIPES]):
        raise Failed(f"Kafka at {kafka.bootstrap} has no topic {RECIPES}: run `reasonmed topics declare`")
    async with KafkaSink(kafka) as sink:
        return await publish_recipe(sink, recipe, current=current, max_message_bytes=kafka.max_message_bytes)


async def published(kafka: KafkaClient) -> tuple[dict[str, Recipe], str | None]:
    """Every published recipe by id, and the current one's id."""
    await held(kafka, [RECIPES])  # says clearly where there is no Kafka
    found: dict[str, Recipe] = {}
    current: str | None = None
    async with aclosing(read_topic(kafka, RECIPES)) as messages:
        async for message in messages:
            key = (message.key or b"").decode(errors="replace")
            with suppress(Malformed, UnknownVersion):  # a newer recipe is for newer readers
                if key == CURRENT:
                    current = str(loads(message.value or b""))
                else:
                    found[key] = decode(Recipe, message.value or b"")
    return found, current


def plain(recipe_id: str, recipe: Recipe) -> dict[str, Any]:
    return {"id": recipe_id, **recipe.model_dump(mode="json")}
