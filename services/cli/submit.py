"""`reasonmed submit`: question files into Kafka."""

import asyncio
import gzip
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from services.cli.console import UP, Bootstrap, Failed, Folder, Json, emit, err, out

if TYPE_CHECKING:
    from services.importers.rows import Rejected
    from services.importers.submit import Counts
    from services.runtime.kafka import KafkaClient

SHOWN = 20
"""Rejected rows that are told on stderr; all of them are in the file beside."""


def submit(
    file: Annotated[str, typer.Argument(help="JSON lines (also .gz), or - for standard input.", metavar="FILE|-")],
    recipe: Annotated[
        str | None, typer.Option(help="Ask for this recipe (its id); else the current one, once for each question.")
    ] = None,
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """Hand in questions, one JSON object a line: question, options, answer; context, source, id and subject if known.

    A row that is no question is told (its line, the field, why) and kept in FILE.rejected.jsonl; all others go in, and
    the exit code is 1. To submit a file again is harmless: a question has the same id each time, and is worked on once.

    Example:  reasonmed submit services/local/samples/questions.jsonl
    """
    from services.cli.coordinates import client

    kafka, rejects = client(bootstrap, folder), _Rejects(_rejected_file(file))
    with ExitStack() as ends:
        lines = ends.enter_context(_opened(file))
        ends.callback(rejects.close)
        counts = asyncio.run(_submit(kafka, lines, _checked(recipe), rejects))
    kept = str(rejects.path) if counts.rejected else None
    if json:
        emit({"submitted": counts.submitted, "rejected": counts.rejected, "rejected_file": kept})
    else:
        out.print(f"{counts.submitted} questions are in Kafka ({kafka.bootstrap}).", highlight=False)
    if counts.rejected:
        err.print(f"{counts.rejected} rows are no questions: mend them in {kept} and submit that.", highlight=False)
        raise typer.Exit(1)


async def _submit(kafka: "KafkaClient", lines: Iterable[bytes], recipe: str | None, rejects: "_Rejects") -> "Counts":
    from rich.progress import Progress

    from services.contracts.topics import QUESTION_SUBMITTED
    from services.importers.rows import submissions
    from services.importers.submit import submit as hand_in
    from services.runtime.cluster import held
    from services.runtime.sink import KafkaSink

    if not await held(kafka, [QUESTION_SUBMITTED]):
        raise Failed(f"Kafka at {kafka.bootstrap} has no topic {QUESTION_SUBMITTED}: run `reasonmed topics declare`")
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("submitting", total=None)
        async with KafkaSink(kafka) as sink:
            return await hand_in(
                submissions(lines, recipe_id=recipe),
                sink,
                on_rejected=rejects.take,
                on_progress=lambda counts: bar.update(task, description=f"{counts.submitted} submitted"),
            )


class _Rejects:
    """Tells of rejected rows, and keeps them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._count = 0
        self._file: IO[bytes] | None = None

    def take(self, row: "Rejected") -> None:
        """One more."""
        self._count += 1
        if self._count <= SHOWN:
            err.print(f"line {row.line}: {row.field}: {row.why}", highlight=False, markup=False, soft_wrap=True)
        elif self._count == SHOWN + 1:
            err.print(f"and more, see {self.path}", highlight=False)
        if self._file is None:
            self._file = self.path.open("wb")
        self._file.write(row.row + b"\n")

    def close(self) -> None:
        """The file is whole after this."""
        if self._file is not None:
            self._file.close()


def _rejected_file(file: str) -> Path:
    """Beside the file; the rows in it are as they came, to be mended and submitted again."""
    return Path("stdin.rejected.jsonl") if file == "-" else Path(f"{file.removesuffix('.gz')}.rejected.jsonl")


@contextmanager
def _opened(file: str) -> Iterator[Iterable[bytes]]:
    if file == "-":
        yield sys.stdin.buffer
        return
    path = Path(file)
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        yield lines


def _checked(recipe: str | None) -> str | None:
    from pydantic import TypeAdapter, ValidationError

    from services.contracts.base import RecipeId

    try:
        return TypeAdapter[str | None](RecipeId | None).validate_python(recipe)
    except ValidationError:
        raise typer.BadParameter("a recipe's id is recipe- and 32 hex digits: see `reasonmed recipes list`") from None
