"""`reasonmed index`: an index of evaluation sets, for admission to refuse their questions."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console import Failed, Json, emit, err, out
from services.cli.ingest.submit import Format, Rejections, say

if TYPE_CHECKING:
    from services.importers.evaluation import Indexed
    from services.importers.files import Ears
    from services.importers.submit import Counts

OUT = Path("evaluation.index")


def index(
    files: Annotated[list[Path], typer.Argument(help="The sets' files, in any format that `submit` reads; folders.")],
    out_file: Annotated[Path, typer.Option("--out", help="Where it goes; one that is there is replaced.")] = OUT,
    format: Annotated[Format, typer.Option(help="How questions are written; auto says what it took.")] = "auto",
    columns: Annotated[
        str | None, typer.Option(help="Of csv, jsonl, parquet: NAME=COLUMN,… where they differ.")
    ] = None,
    json: Json = False,
) -> None:
    """Index the questions of evaluation sets, so that none of them is worked on: routers that are given the index
    (`reasonmed up --evaluation-index`, REASONMED_ADMISSION__EVALUATION_INDEX) refuse a question with the same words, or
    with seven tenths of one's runs of eight words, before anything is paid for it.

    A row that is no question is told, the rest is indexed, and the exit code is 1. A file that can't be read as
    questions ends it, and no index is written. What is refused later: `reasonmed tap question-refused`.

    Example:  reasonmed index medqa/test.jsonl mmlu/ --out evaluation.index
    """
    from services.core.dedupe.evaluation_file import dump
    from services.importers.evaluation import index as indexed
    from services.importers.files import Asked
    from services.importers.rows import Refused

    asked = Asked(format, _columns(columns, format))
    try:
        with _told() as ears:
            made = indexed(list(_files(files)), asked, ears=ears)
    except Refused as refused:
        raise Failed(str(refused)) from None
    if not made.index.entries:
        raise Failed("these files hold no question: there is nothing to index")
    size = _replace(out_file, dump(made.index))
    emit(_account(made, out_file, size)) if json else _print(made, out_file, size)
    if any(counts.rejected for counts in made.files.values()):
        raise typer.Exit(1)


def _files(given: list[Path]) -> Iterator[Path]:
    from services.importers.arrivals import files_in

    for path in given:
        path.stat()  # the one that is missing is named
        yield from files_in(path) if path.is_dir() else [path]


def _columns(columns: str | None, format: Format) -> dict[str, str]:
    from services.importers.columns import columns as named

    if columns is None:
        return {}
    if format not in ("auto", "csv", "jsonl", "parquet"):
        raise typer.BadParameter(f"--columns goes with csv, jsonl and parquet, not with {format}")
    try:
        return dict(named(columns))
    except ValueError as error:
        raise typer.BadParameter(f"--columns: {error}") from None


def _replace(path: Path, data: bytes) -> int:
    """Write all of it or nothing: a router may begin to read at any moment."""
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(data)
    beside.replace(path)
    return len(data)


@contextmanager
def _told() -> "Iterator[Ears]":
    """A bar on stderr while it runs, and what there is to say."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    from services.importers.files import Ears

    shown = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[counts]}"))
    with Progress(*shown, console=err, transient=True, disable=not err.is_terminal) as bar:
        task, rejections = bar.add_task("", total=None, counts=""), Rejections(more="")

        def opened(name: str, format: str, line: int) -> None:
            rejections.begin(name)
            bar.reset(task, total=None, description=name, counts="")
            say(f"{name}: taken for {format}")

        def progress(fraction: float | None, counts: "Counts") -> None:
            total = None if fraction is None else 1
            bar.update(task, total=total, completed=fraction, counts=f"{counts.submitted:,} questions")

        yield Ears(opened=opened, progress=progress, rejected=rejections.take, trouble=say)


def _account(made: "Indexed", path: Path, size: int) -> dict[str, object]:
    files = [
        {"name": name, "questions": counts.submitted, "rejected": counts.rejected}
        for name, counts in made.files.items()
    ]
    return {"index": str(path), "bytes": size, "questions": len(made.index.entries), "files": files}


def _print(made: "Indexed", path: Path, size: int) -> None:
    for name, counts in made.files.items():
        if counts.rejected:
            say(f"{name}: {counts.rejected} rows are no questions, and not in the index")
    said = f"{len(made.index.entries):,} questions of {len(made.files)} files are in {path} ({size / 2**20:.1f} MiB)."
    out.print(said, highlight=False, soft_wrap=True)
