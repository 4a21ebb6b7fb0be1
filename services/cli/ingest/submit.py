"""`reasonmed submit`: questions into Kafka, from files, folders, buckets and topics of the user."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console import UP, Bootstrap, Failed, Folder, Json, emit, out
from services.cli.ingest.options import Columns, Delimiter, Encoding, FormatOption, Source
from services.cli.ingest.options import asked as as_asked
from services.cli.ingest.progress import observed, say, say_passed_over

if TYPE_CHECKING:
    from services.core.messages import Sink
    from services.importers.files import Observer, Result
    from services.importers.folders import PassedOver
    from services.importers.formats import Asked
    from services.importers.places import File
    from services.importers.submit import Counts, Stop
    from services.runtime.kafka.client import KafkaClient

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

    Example:  reasonmed submit services/local/samples/questions.jsonl

    Example:  reasonmed submit exam.csv --columns question=stem,A=first,B=second,answer=label --dry-run
    """
    from services.importers.places import place

    asked = as_asked(format, columns, source=source, delimiter=delimiter, encoding=encoding, recipe=recipe)
    _check_sources(files or [], topic, watch, dry_run)
    paths = [place(file) for file in files or () if file != STDIN]
    for path in paths:
        path.stat()  # a missing one is named before anything is submitted
    if dry_run:
        from services.cli.ingest.dry_run import dry_run as run

        raise typer.Exit(run(paths, asked, json=json))
    from services.cli.coordinates import client

    kafka = client(bootstrap, folder)
    passed_over: list[PassedOver] = []
    results = asyncio.run(_submit(kafka, asked, paths, topic, watch, passed_over))
    if json:
        emit(_report(results, passed_over))
    else:
        _print(results, kafka.bootstrap)
    raise typer.Exit(_exit_code(results, watch))


def _exit_code(results: "Sequence[Result]", watch: bool) -> int:
    """1 where a row or a file was refused, where a run was stopped, or where nothing was submitted now or before."""
    if any(result.rejected or result.state in ("refused", "stopped") for result in results):
        return 1
    return 0 if watch or any(result.submitted or result.state == "already" for result in results) else 1


async def _submit(
    kafka: "KafkaClient",
    asked: "Asked",
    paths: "Sequence[File]",
    topic: str | None,
    watch: bool,
    passed_over: "list[PassedOver]",
) -> "list[Result]":
    from services.cli.run.recipes import published
    from services.contracts.topics import QUESTION_SUBMITTED
    from services.importers.rejects import ENDING, Rejects
    from services.importers.submit import PatientSink, Stop
    from services.recipes.published import why_unknown
    from services.runtime.kafka.admin import cluster_id, held
    from services.runtime.kafka.sink import KafkaSink

    has = {partition.topic for partition in await held(kafka, [QUESTION_SUBMITTED, *([topic] if topic else [])])}
    if QUESTION_SUBMITTED not in has:
        raise Failed(f"Kafka at {kafka.bootstrap} has no topic {QUESTION_SUBMITTED}: run `reasonmed topics declare`")
    if topic and topic not in has:
        raise Failed(f"Kafka at {kafka.bootstrap} has no topic {topic}")
    if asked.recipe_id is not None:
        names, _ = await published(kafka)
        if why := why_unknown(asked.recipe_id, {key: recipe.name for key, recipe in names.items()}):
            raise Failed(f"--recipe {asked.recipe_id}: {why}")
    stop = Stop()
    async with KafkaSink(kafka) as kafka_sink:
        with observed(_counted) as observer:
            sink: Sink = PatientSink(kafka_sink, stop, observer.warned) if watch else kafka_sink
            if paths:
                with _ended_by_signal(stop):
                    cluster = await cluster_id(kafka)
                    return await submit_paths(
                        paths, asked, cluster, sink,
                        observer=observer, stop=stop, watch=watch, passed_over=passed_over,
                    )  # fmt: skip
            if topic:
                with _ended_by_signal(stop):
                    return [await _topic(kafka, topic, asked, sink, observer=observer, stop=stop, follow=watch)]
            from services.importers.files import submit_stdin

            rejects = Rejects(Path(f"stdin{ENDING}"), keep=0, on_row=observer.rejected)
            return [await submit_stdin(asked, sink, rejects, observer=observer, stop=stop)]


async def submit_paths(
    paths: "Sequence[File]",
    asked: "Asked",
    cluster: str,
    sink: "Sink",
    *,
    observer: "Observer",
    stop: "Stop",
    watch: bool,
    passed_over: "list[PassedOver]",
) -> "list[Result]":
    """Submit files and the files of folders; with `watch`, also what arrives in folders, until `stop`."""
    from services.importers.files import submit_file

    results = []
    given = {str(path) for path in paths}
    async for file in _files(paths, stop, watch, passed_over):
        try:
            result = await submit_file(file, asked, cluster, sink, observer=observer, stop=stop)
        except FileNotFoundError:
            if str(file) in given:
                raise
            continue  # gone from its folder since
        results.append(result)
    return results


async def _files(
    paths: "Sequence[File]", stop: "Stop", watch: bool, passed_over: "list[PassedOver]"
) -> "AsyncIterator[File]":
    from services.importers.folders import arrivals, walk

    folders = [path for path in paths if path.is_dir()]
    for path in paths:
        found: list[File] = [path]
        if path in folders:
            walked = walk(path)
            say_passed_over(walked.passed_over)
            passed_over += walked.passed_over
            found = [] if watch else walked.files
        for file in found:
            if stop:
                return
            yield file
    if watch:
        async for file in arrivals(folders, stop):
            yield file


async def _topic(
    kafka: "KafkaClient", topic: str, asked: "Asked", sink: "Sink", *, observer: "Observer", stop: "Stop", follow: bool
) -> "Result":
    from services.importers.rejects import ENDING, Rejects
    from services.importers.topic import group, take_topic
    from services.runtime.kafka.source import KafkaSource

    source = KafkaSource(kafka, topics=[topic], group=group(topic))
    rejects = Rejects(Path(f"{topic}{ENDING}"), keep=None, on_row=observer.rejected)
    try:
        return await take_topic(topic, source, asked, sink, rejects, observer=observer, stop=stop, follow=follow)
    finally:
        rejects.close()


@contextmanager
def _ended_by_signal(stop: "Stop") -> Iterator[None]:
    """The first Ctrl-C ends the run after the current batch, a second one at once."""
    loop, signals = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM)

    def end() -> None:
        stop.set()
        for number in signals:
            loop.remove_signal_handler(number)

    for number in signals:
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _counted(counts: "Counts") -> str:
    return f"{counts.submitted:,} submitted, {counts.rejected:,} rejected"


def _report(results: "Sequence[Result]", passed_over: "Sequence[PassedOver]" = ()) -> dict[str, object]:
    return {
        "submitted": sum(result.submitted for result in results),
        "rejected": sum(result.rejected for result in results),
        "flagged": sum(result.flagged for result in results),
        "files": [asdict(result) for result in results],
        "passed_over": [asdict(one) for one in passed_over],
    }


def _print(results: "Sequence[Result]", bootstrap: str) -> None:
    for result in results:
        if result.state == "stopped":
            say(f"{result.name}: interrupted; the same command resumes")
        if result.rejected:
            say(f"{result.name}: {result.rejected} rows are no questions: see {result.rejected_file}")
        if result.flagged:
            say(f"{result.name}: {result.flagged} questions were submitted and flagged")
    if known := [result.name for result in results if result.state == "already"]:
        listed = ", ".join(known[:3]) + (" …" if len(known) > 3 else "")
        say(f"submitted by an earlier run: {listed}; to submit a file again, delete its .submitted.json")
    if not results:
        say("nothing was submitted: no file holds questions")
    total = sum(result.submitted for result in results)
    out.print(f"{total} questions are in Kafka ({bootstrap}).", highlight=False)


def _check_sources(files: Sequence[str], topic: str | None, watch: bool, dry_run: bool) -> None:
    if bool(files) == bool(topic):
        raise typer.BadParameter("name files, folders or -; or --topic, and then no file")
    if STDIN in files and len(files) > 1:
        raise typer.BadParameter("standard input comes alone")
    if dry_run and (topic or watch):
        raise typer.BadParameter("--dry-run reads files, folders or -, once")
    if watch and not topic and not any(file != STDIN and _is_folder(file) for file in files):
        raise typer.BadParameter("--watch needs a folder, or a --topic")


def _is_folder(name: str) -> bool:
    from services.importers.places import place

    return bool(place(name).is_dir())
