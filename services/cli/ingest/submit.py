"""`reasonmed submit`: questions into Kafka, from files, folders, buckets and topics of the user."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer

from services.cli.console import UP, Bootstrap, Folder, Json, emit
from services.cli.coordinates import client
from services.cli.ingest.options import Columns, Delimiter, Encoding, FormatOption, LaneOption, Source

STDIN = "-"


def submit(  # noqa: PLR0913 -- Typer makes an option of each argument
    files: Annotated[
        list[str] | None, typer.Argument(help="Files, folders, s3:// or gs:// addresses, or - for standard input.")
    ] = None,
    format: FormatOption = "auto",
    columns: Columns = None,
    source: Source = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be taken and refused; needs no Kafka.")
    ] = False,
    recipe: Annotated[
        str | None, typer.Option(help="Ask for this recipe (its id); else the current one, once for each question.")
    ] = None,
    lane: LaneOption = "live",
    topic: Annotated[
        str | None, typer.Option(help="A topic of your own, of JSON rows; a consumer group keeps its offsets.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Keep reading what arrives, until Ctrl-C.")] = False,
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """Submit questions: JSON lines of question, options, answer (context, source, id and subject if known), the
    layouts of some twenty published sets, and tables or JSON with plain names. JSON, CSV, Parquet and Arrow are
    detected, as are gz, bz2, xz and zst. Folders are read at any depth.

    A row that is no question is listed (its line, the field, why) and kept in FILE.rejected.jsonl; all others are
    submitted. The exit code is 1 where any row is rejected, any file is refused, or nothing was submitted. An
    interrupted run resumes: FILE.submitted.json keeps the position. To submit a question again is harmless: it has the
    same id each time, and is worked on once.

    Large amounts go in with --lane backfill: they never hold up a live question, and have all capacity that live ones
    leave. A watched folder's questions are in the lane of its command.

    Example:  reasonmed submit services/local/samples/questions.jsonl

    Example:  reasonmed submit exam.csv --columns question=stem,A=first,B=second,answer=label --dry-run
    """
    # Only when it runs: --help needs the options alone.
    from services.cli.ingest import submitting
    from services.cli.ingest.asked import asked as as_asked
    from services.cli.ingest.dry_run import dry_run as preview
    from services.importers.places import place

    asked = as_asked(format, columns, source=source, delimiter=delimiter, encoding=encoding, recipe=recipe, lane=lane)
    _check_sources(files or [], topic, watch, dry_run)
    paths = [place(file) for file in files or () if file != STDIN]
    if watch and not topic and not any(path.is_dir() for path in paths):
        raise typer.BadParameter("--watch needs a folder, or a --topic")
    for path in paths:
        path.stat()  # a missing one is named before anything is submitted
    if dry_run:
        raise typer.Exit(preview(paths, asked, json=json))
    kafka = client(bootstrap, folder)
    results, passed_over = asyncio.run(submitting.run(kafka, asked, paths, topic, watch))
    if json:
        emit(submitting.report(results, passed_over))
    else:
        submitting.show(results, kafka.bootstrap)
    raise typer.Exit(submitting.exit_code(results, watch))


def _check_sources(files: Sequence[str], topic: str | None, watch: bool, dry_run: bool) -> None:
    if bool(files) == bool(topic):
        raise typer.BadParameter("name files, folders or -; or --topic, and then no file")
    if STDIN in files and len(files) > 1:
        raise typer.BadParameter("standard input comes alone")
    if dry_run and (topic or watch):
        raise typer.BadParameter("--dry-run reads files, folders or -, once")
