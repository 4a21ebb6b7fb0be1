"""`reasonmed dataset`: the upkeep of the dataset's tables."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import UP, Folder, Json, emit, out
from services.cli.data.dataset import dataset_of

app = typer.Typer(no_args_is_help=True, help="Keep the dataset's tables in shape.")


@app.command("compact")
def compact(
    dataset: Annotated[str | None, typer.Argument(help="A folder or URL; else dataset/ in --folder.")] = None,
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """Merge small files, remove repeated rows, delete files that were replaced a week ago.

    Exporters and readers may keep running. Run it daily if an exporter commits each minute.

    Example:  reasonmed dataset compact
    """
    from services.datasets.maintenance import compact_all

    done = compact_all(dataset or str(dataset_of(folder)))
    if json:
        emit({name: asdict(one) for name, one in done.items()})
        return
    for name, one in done.items():
        out.print(
            f"{name}: {one.files_before} files are {one.files_after} now; {one.repeats_removed} repeats removed, "
            f"{one.files_deleted} old files deleted.",
            highlight=False,
        )


@app.command("import")
def import_(
    former: Annotated[Path, typer.Argument(help="The folder with part-*.parquet and manifest-*.json.")],
    to: Annotated[str | None, typer.Option("--to", help="The table: a folder or URL; else the same folder.")] = None,
    json: Json = False,
) -> None:
    """Import a dataset of the former format (parts and manifests) into a Delta table. Stop its exporters first.

    The former files are kept: delete them once you have checked the table.

    Example:  reasonmed dataset import build/up/dataset
    """
    from services.datasets.maintenance import carry_over

    done = carry_over(former, to or str(former))
    if json:
        emit(asdict(done))
        return
    out.print(f"{done.records} records of {done.partitions} partitions imported.", highlight=False)
