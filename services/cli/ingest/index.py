"""`reasonmed index`: an index of evaluation sets, for admission to refuse their questions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console import Failed, Json, emit, out
from services.cli.ingest.options import Columns, Delimiter, Encoding, FormatOption
from services.cli.ingest.options import asked as as_asked
from services.cli.ingest.progress import observed, say, say_passed_over

if TYPE_CHECKING:
    from services.importers.evaluation import Indexed
    from services.importers.folders import PassedOver
    from services.importers.places import File

OUT = Path("evaluation.index")


def index(
    files: Annotated[
        list[str], typer.Argument(help="The sets' files, in any format that `submit` reads; folders, at any depth.")
    ],
    out_file: Annotated[Path, typer.Option("--out", help="Where it goes; an existing one is replaced.")] = OUT,
    format: FormatOption = "auto",
    columns: Columns = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Index the questions of evaluation sets, so that none of them is worked on: routers that are given the index
    (`reasonmed up --evaluation-index`, REASONMED_ADMISSION__EVALUATION_INDEX) refuse a question with the same words, or
    with seven tenths of one's runs of eight words, before anything is paid for it. Answers don't count: a set without
    them is indexed too.

    A row that is no question is listed, the rest is indexed, and the exit code is 1. No index is written where a file
    can't be read as questions, or holds none. What is refused later: `reasonmed tap question-refused`.

    Example:  reasonmed index medqa/test.jsonl mmlu/ --out evaluation.index
    """
    from services.core.dedupe.evaluation_file import dump
    from services.importers.evaluation import index as indexed
    from services.importers.rows import Refused

    asked = as_asked(format, columns, source=None, delimiter=delimiter, encoding=encoding)
    found, passed_over = _files(files)
    try:
        with observed(lambda counts: f"{counts.submitted:,} questions", more="") as observer:
            made = indexed(found, asked, observer=observer)
    except Refused as refused:
        raise Failed(str(refused)) from None
    if empty := [name for name, counts in made.files.items() if not counts.submitted]:
        raise Failed(f"{empty[0]} holds no question: leave it out, or say how it is read")
    if not made.index.entries:
        raise Failed("these files hold no question: there is nothing to index")
    size = _replace(out_file, dump(made.index))
    emit(_report(made, passed_over, out_file, size)) if json else _print(made, out_file, size)
    if any(counts.rejected for counts in made.files.values()):
        raise typer.Exit(1)


def _files(given: list[str]) -> "tuple[list[File], list[PassedOver]]":
    from services.importers.folders import walk
    from services.importers.places import place

    files: list[File] = []
    passed_over: list[PassedOver] = []
    for name in given:
        path = place(name)
        path.stat()  # a missing one is named
        if not path.is_dir():
            files.append(path)
            continue
        walked = walk(path)
        files += walked.files
        passed_over += walked.passed_over
    say_passed_over(passed_over)
    return files, passed_over


def _replace(path: Path, data: bytes) -> int:
    """Write all of it or nothing: a router may begin to read at any moment."""
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(data)
    beside.replace(path)
    return len(data)


def _report(made: "Indexed", passed_over: "list[PassedOver]", path: Path, size: int) -> dict[str, object]:
    files = [
        {"name": name, "questions": counts.submitted, "rejected": counts.rejected}
        for name, counts in made.files.items()
    ]
    skipped = [{"name": one.name, "why": one.why} for one in passed_over]
    return {
        "index": str(path),
        "bytes": size,
        "questions": len(made.index.entries),
        "files": files,
        "passed_over": skipped,
    }


def _print(made: "Indexed", path: Path, size: int) -> None:
    for name, counts in made.files.items():
        if counts.rejected:
            say(f"{name}: {counts.rejected} rows are no questions, and not in the index")
    total = f"{len(made.index.entries):,} questions of {len(made.files)} files are in {path} ({size / 2**20:.1f} MiB)."
    out.print(total, highlight=False, soft_wrap=True)
