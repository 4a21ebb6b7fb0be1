"""How `reasonmed export` reads its options and writes a dataset."""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import cast, get_args

import typer
from rich.progress import Progress

from services import recipes
from services.cli.console import err
from services.contracts.case import Difficulty
from services.core import ids
from services.core.dedupe.evaluation_file import read
from services.datasets.export import export as write
from services.datasets.questions import HeldOut
from services.datasets.splits import BadSplit, Splits
from services.datasets.summary import Request, Summary


def held_out_index(path: Path) -> HeldOut:
    index = read(path)
    return HeldOut(path.name, sha256(path.read_bytes()).hexdigest(), index)


def run(request: Request, dataset: str, to: Path) -> Summary:
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("exporting", total=None)
        return write(
            request, dataset, to, on_progress=lambda done, total: bar.update(task, completed=done, total=total)
        )


def difficulty(given: str) -> Difficulty:
    for known in get_args(Difficulty):
        if given == known:
            return cast("Difficulty", known)
    raise typer.BadParameter(f"{given}: one of {', '.join(get_args(Difficulty))}", param_hint="--difficulty")


def splits(text: str, seed: str) -> Splits:
    try:
        return Splits.parse(text, seed)
    except BadSplit as error:
        raise typer.BadParameter(str(error), param_hint="--split") from None


def licences(text: str) -> dict[str, str]:
    pairs = [part.strip().rpartition("=") for part in text.split(",") if part.strip()]
    if any(not (source and licence) for source, _, licence in pairs):
        raise typer.BadParameter("SOURCE=LICENCE, comma-separated, as in medqa=MIT", param_hint="--licences")
    return {source: licence for source, _, licence in pairs}


def recipe(given: str) -> tuple[str, str]:
    """Id and name; a bare id has none."""
    if given.startswith("recipe-"):
        return given, ""
    loaded = recipes.load(given)
    return ids.recipe_id(loaded), loaded.name


def shipped() -> list[tuple[str, str]]:
    return [recipe(path.stem) for path in sorted(recipes.FOLDER.glob("*.yaml"))]


def names(recipes: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {recipe_id: name for recipe_id, name in recipes if name}
