"""`reasonmed export`: a dataset for trainers, out of the exporter's parts."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from services.cli.console import Failed, Json, emit, err, out
from services.datasets.forms import Form, Variant

if TYPE_CHECKING:
    from services.contracts.case import Difficulty
    from services.datasets.splits import Splits
    from services.datasets.summary import Request, Summary

RUNS = Path("build")
"""Where `up`, `demo` and `replay` put their folders, unless told otherwise."""


def export(
    variant: Annotated[Variant, typer.Option(help="The chain of thought, its summary, or the one and then the other.")],
    form: Annotated[Form, typer.Option(help="The trainer's form of a row.")],
    to: Annotated[Path, typer.Option("--out", help="The dataset's folder: new, empty, or an earlier export's.")],
    parts: Annotated[
        Path | None, typer.Argument(help="A folder of the exporter's parts; else that of the last run under build/.")
    ] = None,
    difficulty: Annotated[list[str] | None, typer.Option(help="Only easy, medium or difficult; repeatable.")] = None,
    min_score: Annotated[
        int | None, typer.Option(min=0, max=5, help="Only records that the judge scored so high.")
    ] = None,
    source: Annotated[list[str] | None, typer.Option(help="Only these sources; repeatable.")] = None,
    recipe: Annotated[
        list[str] | None, typer.Option(help="Only these: an id, a YAML file, a shipped recipe's name; repeatable.")
    ] = None,
    disputed: Annotated[
        bool | None, typer.Option("--disputed/--undisputed", help="Only questions whose gold answer is (not) disputed.")
    ] = None,
    split: Annotated[str, typer.Option(help="Names and shares; a question is in one split.")] = "train=0.98,test=0.02",
    seed: Annotated[str, typer.Option(help="Another one draws other splits.")] = "0",
    lineage: Annotated[bool, typer.Option(help="Keep the columns that say where a record comes from.")] = True,
    licences: Annotated[
        str, typer.Option(help="Of the sources, for the card: medqa=MIT,medmcqa=Apache-2.0. Others: not stated.")
    ] = "",
    json: Json = False,
) -> None:
    """Write records as a dataset: Parquet and JSON lines, with a card. Needs no Kafka.

    Same parts and same options, same bytes. The folder loads with `datasets.load_dataset(FOLDER)`: Parquet in data/,
    the same rows in jsonl/, the card in README.md, counts in export.json. A running exporter closes a part a minute
    after its first record; what is in open parts is not there yet.

    Example:  reasonmed export --variant ReasonMed --form messages --out build/reasonmed
    """
    from services.datasets.parts import Filters
    from services.datasets.summary import Request

    recipes = [_recipe(given) for given in recipe or ()]
    request = Request(
        variant=variant,
        form=form,
        splits=_splits(split, seed),
        filters=Filters(
            difficulties=tuple(map(_difficulty, difficulty or ())),
            sources=tuple(source or ()),
            recipes=tuple(recipe_id for recipe_id, _ in recipes),
            min_score=min_score,
            disputed=disputed,
        ),
        lineage=lineage,
        licences=_licences(licences),
        recipe_names=_names([*_shipped(), *recipes]),
    )
    parts = parts or last_run()
    summary = _run(request, parts, to)
    if json:
        from dataclasses import asdict

        emit({"parts": str(parts), "out": str(to), **asdict(summary)})
        return
    counts = ", ".join(f"{name} {one.records}" for name, one in summary.splits.items())
    out.print(f"{summary.records} records ({counts}) of {parts} are in {to}.", highlight=False, soft_wrap=True)


def last_run() -> Path:
    """The folder of parts under build/ that was written to last. Raises Failed where there is none."""
    manifests = [*RUNS.glob("*/dataset/manifest-*.json"), *RUNS.glob("*/*/dataset/manifest-*.json")]
    if not manifests:
        raise Failed(
            f"no run under {RUNS}/ has written a dataset yet: a part is closed a minute after its first record. Or "
            "name a folder of parts"
        )
    return max(manifests, key=lambda path: path.stat().st_mtime_ns).parent


def _run(request: "Request", parts: Path, to: Path) -> "Summary":
    from rich.progress import Progress

    from services.datasets.export import export as write

    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("exporting", total=None)
        return write(request, parts, to, on_progress=lambda done, total: bar.update(task, completed=done, total=total))


def _difficulty(given: str) -> "Difficulty":
    from services.contracts.case import Difficulty

    for known in get_args(Difficulty):
        if given == known:
            return cast("Difficulty", known)
    raise typer.BadParameter(f"{given} is none of {', '.join(get_args(Difficulty))}", param_hint="--difficulty")


def _splits(text: str, seed: str) -> "Splits":
    from services.datasets.splits import BadSplit, Splits

    try:
        return Splits.parse(text, seed)
    except BadSplit as error:
        raise typer.BadParameter(str(error), param_hint="--split") from None


def _licences(text: str) -> dict[str, str]:
    pairs = [part.strip().rpartition("=") for part in text.split(",") if part.strip()]
    if any(not (source and licence) for source, _, licence in pairs):
        raise typer.BadParameter("SOURCE=LICENCE, comma-separated, as in medqa=MIT", param_hint="--licences")
    return {source: licence for source, _, licence in pairs}


def _recipe(given: str) -> tuple[str, str]:
    """Id and name; a bare id has none."""
    if given.startswith("recipe-"):
        return given, ""
    from services import recipes
    from services.core.case import ids

    loaded = recipes.load(given)
    return ids.recipe_id(loaded), loaded.name


def _shipped() -> list[tuple[str, str]]:
    from services import recipes

    return [_recipe(path.stem) for path in sorted(recipes.FOLDER.glob("*.yaml"))]


def _names(recipes: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {recipe_id: name for recipe_id, name in recipes if name}
