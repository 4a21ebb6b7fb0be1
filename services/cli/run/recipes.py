"""`reasonmed recipes`: what decides a result, shipped and published."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import UP, Bootstrap, Failed, Folder, Json, emit, out
from services.cli.coordinates import client
from services.contracts.base import RecipeId

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
    from services.cli.run import recipe_store  # only when it runs: --help needs the options alone

    published, current = asyncio.run(recipe_store.published(client(bootstrap, folder)))
    rows = [{"id": key, "name": recipe.name, "current": key == current} for key, recipe in published.items()]
    if json:
        emit(rows)
        return
    for row in rows:
        out.print(f"{row['id']}  {row['name']}{'  (current)' if row['current'] else ''}", highlight=False)
    if not rows:
        out.print("No recipe is published: run `reasonmed recipes publish default --current`.", highlight=False)


@app.command("show")
def show(
    recipe: Annotated[
        str, typer.Argument(help="A published recipe's id or name, a YAML file, or a shipped one's name.")
    ],
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
) -> None:
    """Show a whole recipe as JSON, its prompts included.

    Example:  reasonmed recipes show default
    """
    from services.cli.run import recipe_store  # only when it runs: --help needs the options alone

    if recipe.startswith("recipe-") or not recipe_store.is_local(recipe):
        published, _ = asyncio.run(recipe_store.published(client(bootstrap, folder)))
        recipe_id = recipe_store.named(published, recipe)
        if recipe_id is None:
            raise Failed(f"{recipe} is not published: see `reasonmed recipes list`")
        emit(recipe_store.plain(RecipeId(recipe_id), published[recipe_id]))
        return
    emit(recipe_store.plain(*recipe_store.load(recipe)))


@app.command("new")
def new(
    folder: Annotated[Path, typer.Argument(metavar="NAME", help="The folder to write, and the recipe's name.")],
    source: Annotated[str, typer.Option("--from", help="The shipped recipe to begin with.")] = "default",
) -> None:
    """Write a recipe of your own to change: NAME/recipe.yaml, with its prompts in NAME/prompts.

    Example:  reasonmed recipes new my-recipe
    """
    from services.recipes.new import write  # only when it runs: --help needs the options alone

    file = write(folder, source)
    out.print(f"{file} is yours to change, and the prompts in {folder / 'prompts'}. Then:", highlight=False)
    out.print(f"  reasonmed recipes check {file}\n  reasonmed recipes publish {file} --current", highlight=False)


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
    from services.cli.run import recipe_store  # only when it runs: --help needs the options alone

    _, loaded = recipe_store.load(recipe)
    recipe_id = asyncio.run(recipe_store.publish(client(bootstrap, folder), loaded, current))
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
    from services.cli.run import recipe_check, recipe_store  # only when it runs: --help needs the options alone

    _, loaded = recipe_store.load(recipe)
    checked = asyncio.run(recipe_check.check(loaded, llm_url))
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
