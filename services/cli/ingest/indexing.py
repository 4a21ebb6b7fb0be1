"""How `reasonmed index` reads evaluation sets and writes their index."""

from pathlib import Path

import typer

from services.cli.console import Failed, emit, out
from services.cli.ingest.progress import observed, say, say_passed_over
from services.core.dedupe.evaluation_file import dump
from services.importers.evaluation import Indexed
from services.importers.evaluation import index as indexed
from services.importers.folders import PassedOver, walk
from services.importers.formats import Asked
from services.importers.places import File, place
from services.importers.rows import Refused


def run(given: list[str], asked: Asked, out_file: Path, *, json: bool) -> None:
    """Read the sets, replace the index, print what is in it. Raises Failed, and typer.Exit where a row is rejected."""
    found, passed_over = files_of(given)
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


def files_of(given: list[str]) -> tuple[list[File], list[PassedOver]]:
    """The files, and those of folders at any depth; and what is passed over, which is also said. Raises OSError."""
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


def _report(made: Indexed, passed_over: list[PassedOver], path: Path, size: int) -> dict[str, object]:
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


def _print(made: Indexed, path: Path, size: int) -> None:
    for name, counts in made.files.items():
        if counts.rejected:
            say(f"{name}: {counts.rejected} rows are no questions, and not in the index")
    total = f"{len(made.index.entries):,} questions of {len(made.files)} files are in {path} ({size / 2**20:.1f} MiB)."
    out.print(total, highlight=False, soft_wrap=True)
