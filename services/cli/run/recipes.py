"""`reasonmed recipes`: what decides a result, shipped and published."""

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.console import UP, Bootstrap, Failed, Folder, Json, emit, out

if TYPE_CHECKING:
    from services.contracts.recipe import Recipe
    from services.llm.check import Checked
    from services.runtime.kafka.client import KafkaClient

app = typer.Typer(
    no_args_is_help=True,
    help="Recipes hold all that decides a result: prompts, models, sampling, plan, thresholds, prices.",
)

Source = Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped recipe (default, demo).")]


@app.command("list")
def list_(bootstrap: Bootstrap = None, folder: Folder = UP, json: Json = False) -> None:
    """List the published recipes, and which of them is for new cases.

    Example:  reasonmed recipes list
    """
    from services.cli.coordinates import client

    known, current = asyncio.run(published(client(bootstrap, folder)))
    rows = [{"id": key, "name": recipe.name, "current": key == current} for key, recipe in known.items()]
    if json:
        emit(rows)
        return
    for row in rows:
        out.print(f"{row['id']}  {row['name']}{'  (current)' if row['current'] else ''}", highlight=False)
    if not rows:
        out.print("No recipe is published: run `reasonmed recipes publish default --current`.", highlight=False)


@app.command("show")
def show(
    recipe: Annotated[str, typer.Argument(help="A published recipe's id, a YAML file, or a shipped recipe's name.")],
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
) -> None:
    """Show a whole recipe as JSON, its prompts included.

    Example:  reasonmed recipes show default
    """
    from services.cli.coordinates import client

    if recipe.startswith("recipe-"):
        known, _ = asyncio.run(published(client(bootstrap, folder)))
        if recipe not in known:
            raise Failed(f"{recipe} is not published: see `reasonmed recipes list`")
        emit(_plain(recipe, known[recipe]))
        return
    from services import recipes
    from services.core.case import ids

    loaded = recipes.load(recipe)
    emit(_plain(ids.recipe_id(loaded), loaded))


@app.command("publish")
def publish(
    recipe: Source,
    current: Annotated[bool, typer.Option("--current", help="Make it the recipe for new cases.")] = False,
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """Publish a recipe under its id. Cases under way keep theirs; to publish again changes nothing.

    Example:  reasonmed recipes publish my-recipe.yaml --current
    """
    from services import recipes
    from services.cli.coordinates import client

    loaded = recipes.load(recipe)
    recipe_id = asyncio.run(_publish(client(bootstrap, folder), loaded, current))
    if json:
        emit({"id": recipe_id, "name": loaded.name, "current": current})
        return
    out.print(f"{recipe_id}  {loaded.name}{', for new cases from now on' if current else ''}", highlight=False)


@app.command("check")
def check(
    recipe: Source = "default",
    llm_url: Annotated[
        str | None, typer.Option("--llm-url", help="Ask this OpenAI-compatible server (up to /v1) for every model.")
    ] = None,
    json: Json = False,
) -> None:
    """Ask each model of a recipe for one token, in the form that its stages use, and report what works.

    Exits 1 if any does not. Addresses and keys come from REASONMED_MODELS, as for the services.

    Example:  reasonmed recipes check my-recipe.yaml --llm-url http://localhost:8000/v1
    """
    from dataclasses import asdict

    from services import recipes

    checked = asyncio.run(_check(recipes.load(recipe), llm_url))
    if json:
        emit([asdict(row) | {"works": row.trouble is None} for row in checked])
    else:
        for row in checked:
            out.print(
                f"{row.alias}  {row.served}  {', '.join(row.stages)}: {row.trouble or 'works'}",
                highlight=False,
                soft_wrap=True,
            )
    if any(row.trouble is not None for row in checked):
        raise typer.Exit(1)


async def _check(recipe: "Recipe", llm_url: str | None) -> "list[Checked]":
    from services.cli.coordinates import environment_settings
    from services.core.endpoint import Endpoint
    from services.llm.check import check as check_models
    from services.llm.client import ChatClient

    settings = environment_settings()
    endpoints = settings.models if llm_url is None else dict.fromkeys(recipe.models, Endpoint(llm_url))
    async with ChatClient(endpoints) as client:
        return await check_models(recipe, endpoints, client, owner="recipes-check")


async def _publish(kafka: "KafkaClient", recipe: "Recipe", current: bool) -> str:
    from services.contracts.topics import RECIPES
    from services.runtime.kafka.admin import held
    from services.runtime.kafka.sink import KafkaSink
    from services.worker.publishing import publish_recipe

    if not await held(kafka, [RECIPES]):
        raise Failed(f"Kafka at {kafka.bootstrap} has no topic {RECIPES}: run `reasonmed topics declare`")
    async with KafkaSink(kafka) as sink:
        return await publish_recipe(sink, recipe, current=current, max_message_bytes=kafka.max_message_bytes)


async def published(kafka: "KafkaClient") -> tuple[dict[str, "Recipe"], str | None]:
    """Every published recipe by id, and the current one's id."""
    from services.contracts.codec import Malformed, UnknownVersion, decode, loads
    from services.contracts.recipe import Recipe
    from services.contracts.topics import CURRENT, RECIPES
    from services.runtime.kafka.admin import held
    from services.runtime.kafka.reader import read_topic

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


def _plain(recipe_id: str, recipe: "Recipe") -> dict[str, Any]:
    return {"id": recipe_id, **recipe.model_dump(mode="json")}
