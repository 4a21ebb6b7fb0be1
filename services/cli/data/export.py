"""`reasonmed export`: a dataset for trainers, from the exporter's records."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, get_args

import typer

from services.cli.console import UP, Folder, Json, emit, out
from services.cli.data.dataset import dataset_of
from services.datasets.names import WITH_VARIANT, Form, Variant, counted


def export(  # noqa: PLR0913 -- Typer makes an option of each argument
    form: Annotated[Form, typer.Option(help="The trainer's form of a row.")],
    to: Annotated[Path, typer.Option("--out", help="The dataset's folder: new, empty, or an earlier export's.")],
    dataset: Annotated[str | None, typer.Argument(help="A folder or URL; else dataset/ in --folder.")] = None,
    variant: Annotated[
        Variant | None,
        typer.Option(help="The answer: the chain of thought, its summary, or both. Not for forms with their own."),
    ] = None,
    system: Annotated[str | None, typer.Option(help="A system prompt for each row.")] = None,
    held_out: Annotated[
        Path | None, typer.Option(help="Leave out questions of this evaluation index (`reasonmed index` writes one).")
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
    language: Annotated[str, typer.Option(help="Of the questions, for the card: ISO 639-1.")] = "en",
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """Write records, or judged paths (dpo, kto, verifier), as a dataset: Parquet and JSON lines, with a card.

    Needs no Kafka. Same records and same options, same bytes. The folder loads with `datasets.load_dataset(FOLDER)`:
    Parquet in data/, the same rows in jsonl/, the card in README.md, counts in export.json. Each answer ends with the
    line `Final answer: X`. A running exporter writes its records a minute after the first of them, at the latest.

    Example:  reasonmed export --variant ReasonMed --form messages --out build/reasonmed
    """
    # Only when it runs: --help needs the options alone.
    from services.cli.data import exporting
    from services.datasets.records import Filters
    from services.datasets.summary import Request

    _check_variant(form, variant)
    recipes = [exporting.recipe(given) for given in recipe or ()]
    request = Request(
        variant=variant,
        form=form,
        system=system,
        splits=exporting.splits(split, seed),
        filters=Filters(
            difficulties=tuple(map(exporting.difficulty, difficulty or ())),
            sources=tuple(source or ()),
            recipes=tuple(recipe_id for recipe_id, _ in recipes),
            min_score=min_score,
            disputed=disputed,
        ),
        lineage=lineage,
        licences=exporting.licences(licences),
        recipe_names=exporting.names([*exporting.shipped(), *recipes]),
        language=language,
        held_out=None if held_out is None else exporting.held_out_index(held_out),
    )
    dataset = dataset or str(dataset_of(folder))
    summary = exporting.run(request, dataset, to)
    if json:
        emit({"dataset": dataset, "out": str(to), **asdict(summary)})
        return
    counts = ", ".join(f"{name} {one.records}" for name, one in summary.splits.items())
    out.print(
        f"{summary.records} {counted(form)} ({counts}) of {dataset} are in {to}.", highlight=False, soft_wrap=True
    )
    if left := summary.held_out:
        out.print(
            f"{left.questions} questions ({left.records} {counted(form)}) of {left.index} are left out.",
            highlight=False,
        )


def _check_variant(form: Form, variant: Variant | None) -> None:
    if form in WITH_VARIANT and variant is None:
        raise typer.BadParameter(f"{form} needs one of {', '.join(get_args(Variant))}", param_hint="--variant")
    if form not in WITH_VARIANT and variant is not None:
        raise typer.BadParameter(f"{form} takes none: its answer is its own", param_hint="--variant")
