"""`reasonmed submit`: questions into Kafka, from files, folders and topics of the user's own."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from services.cli.console import UP, Bootstrap, Failed, Folder, Json, emit, err, out

if TYPE_CHECKING:
    from services.core.messages import Sink
    from services.importers.files import Asked, Ears, Result
    from services.importers.rows import Rejected
    from services.importers.submit import Counts, Stop
    from services.runtime.kafka.client import KafkaClient

SHOWN = 20
"""Rejected rows of a file that are told on stderr; all of them are in the file beside."""

STDIN = "-"

Format = Literal[
    "auto", "questions", "medqa", "medmcqa", "medmcqa-from-0", "medmcqa-from-1", "mmlu", "pubmedqa", "csv", "jsonl",
    "parquet",
]  # fmt: skip
"""As in services/importers/formats.py, which is not imported for a help text."""


def submit(
    files: Annotated[list[str] | None, typer.Argument(help="Files, folders, or - for standard input.")] = None,
    format: Annotated[Format, typer.Option(help="How questions are written; auto says what it took.")] = "auto",
    columns: Annotated[
        str | None,
        typer.Option(help="Of csv, jsonl, parquet: NAME=COLUMN,… where they differ."),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Ask for this recipe (its id); else the current one, once for each question.")
    ] = None,
    topic: Annotated[
        str | None, typer.Option(help="A topic of your own, of JSON rows: its consumer group goes on where it was.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Go on with what arrives, until Ctrl-C.")] = False,
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """Hand in questions: JSON lines of question, options, answer (context, source, id and subject if known); MedQA,
    MedMCQA, MMLU and PubMedQA as they are published; CSV, JSON lines and Parquet with named columns. Also as .gz.

    A row that is no question is told (its line, the field, why) and kept in FILE.rejected.jsonl; all others go in, and
    the exit code is 1. What is interrupted goes on where it was: FILE.submitted.json says where, and that a file is in.
    To submit a question again is harmless: it has the same id each time, and is worked on once.

    Example:  reasonmed submit services/local/samples/questions.jsonl

    Example:  reasonmed submit exam.csv --columns question=stem,A=first,B=second,answer=label
    """
    from services.cli.coordinates import client

    asked, paths = _asked(format, columns, recipe), [Path(file) for file in files or () if file != STDIN]
    _check_sources(files or [], topic, watch)
    for path in paths:
        path.stat()  # the one that is missing is named before anything goes in
    kafka = client(bootstrap, folder)
    results = asyncio.run(_submit(kafka, asked, paths, topic, watch))
    if json:
        emit(_account(results))
    else:
        _print(results, kafka.bootstrap)
    if any(result.rejected or result.state in ("refused", "stopped") for result in results):
        raise typer.Exit(1)


async def _submit(
    kafka: "KafkaClient", asked: "Asked", paths: Sequence[Path], topic: str | None, watch: bool
) -> "list[Result]":
    from services.contracts.topics import QUESTION_SUBMITTED
    from services.importers.rejects import ENDING, Rejects
    from services.importers.submit import PatientSink, Stop
    from services.runtime.kafka.admin import cluster_id, held
    from services.runtime.kafka.sink import KafkaSink

    has = {partition.topic for partition in await held(kafka, [QUESTION_SUBMITTED, *([topic] if topic else [])])}
    if QUESTION_SUBMITTED not in has:
        raise Failed(f"Kafka at {kafka.bootstrap} has no topic {QUESTION_SUBMITTED}: run `reasonmed topics declare`")
    if topic and topic not in has:
        raise Failed(f"Kafka at {kafka.bootstrap} has no topic {topic}")
    stop = Stop()
    async with KafkaSink(kafka) as kafka_sink:
        with _told() as ears:
            sink: Sink = PatientSink(kafka_sink, stop, ears.trouble) if watch else kafka_sink
            if paths:
                with _ended_by_signal(stop):
                    return await hand_in(paths, asked, await cluster_id(kafka), sink, ears=ears, stop=stop, watch=watch)
            if topic:
                with _ended_by_signal(stop):
                    return [await _topic(kafka, topic, asked, sink, ears=ears, stop=stop, follow=watch)]
            from services.importers.files import take_stream

            rejects = Rejects(Path(f"stdin{ENDING}"), keep=0, tell=ears.rejected)
            return [await take_stream(asked, sink, rejects, ears=ears, stop=stop)]


async def hand_in(
    paths: Sequence[Path], asked: "Asked", cluster: str, sink: "Sink", *, ears: "Ears", stop: "Stop", watch: bool
) -> "list[Result]":
    """Files, and what stands in folders; to watch: also what arrives there, until the end is wanted."""
    from services.importers.files import take

    results = []
    async for file in _files(paths, stop, watch):
        try:
            result = await take(file, asked, cluster, sink, ears=ears, stop=stop)
        except FileNotFoundError:
            if file in paths:
                raise
            continue  # gone from its folder since
        results.append(result)
    return results


async def _files(paths: Sequence[Path], stop: "Stop", watch: bool) -> AsyncIterator[Path]:
    from services.importers.arrivals import arrivals, files_in

    folders = [path for path in paths if path.is_dir()]
    for path in paths:
        for file in [path] if path not in folders else [] if watch else files_in(path):
            if stop:
                return
            yield file
    if watch:
        async for file in arrivals(folders, stop):
            yield file


async def _topic(
    kafka: "KafkaClient", topic: str, asked: "Asked", sink: "Sink", *, ears: "Ears", stop: "Stop", follow: bool
) -> "Result":
    from services.importers.rejects import ENDING, Rejects
    from services.importers.topic import group, take_topic
    from services.runtime.kafka.source import KafkaSource

    source = KafkaSource(kafka, topics=[topic], group=group(topic))
    rejects = Rejects(Path(f"{topic}{ENDING}"), keep=None, tell=ears.rejected)
    try:
        return await take_topic(topic, source, asked, sink, rejects, ears=ears, stop=stop, follow=follow)
    finally:
        rejects.close()


@contextmanager
def _ended_by_signal(stop: "Stop") -> Iterator[None]:
    """The first Ctrl-C ends after the batch under way, a second at once."""
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


@contextmanager
def _told() -> "Iterator[Ears]":
    """A bar on stderr while it runs, and what there is to say."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    from services.importers.files import Ears

    shown = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[counts]}"))
    with Progress(*shown, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=None, counts="")
        told = Rejections()

        def opened(name: str, format: str, line: int) -> None:
            told.begin(name)
            bar.reset(task, total=None, description=name, counts="")
            say(f"{name}: taken for {format}" + (f", goes on after line {line}" if line else ""))

        def progress(fraction: float | None, counts: "Counts") -> None:
            said = f"{counts.submitted:,} submitted, {counts.rejected:,} rejected"
            bar.update(task, total=None if fraction is None else 1, completed=fraction, counts=said)

        yield Ears(opened=opened, progress=progress, rejected=told.take, trouble=say)


class Rejections:
    """Tells of a file's first rejected rows."""

    def __init__(self, tell: Callable[[str], None] | None = None, *, more: str = ", see its .rejected.jsonl") -> None:
        """`more`: where the rest of them are."""
        self._say = tell or say
        self._more = more
        self.begin("")

    def begin(self, name: str) -> None:
        """A file's rows come now."""
        self._name, self._count = name, 0

    def take(self, row: "Rejected") -> None:
        """One more."""
        self._count += 1
        if self._count <= SHOWN:
            self._say(f"{self._name}: line {row.line}: {row.field}: {row.why}")
        elif self._count == SHOWN + 1:
            self._say(f"{self._name}: and more{self._more}")


def say(text: str) -> None:
    """Tell it on stderr, as it is."""
    err.print(text, highlight=False, markup=False, soft_wrap=True)


def _account(results: "Sequence[Result]") -> dict[str, object]:
    return {
        "submitted": sum(result.submitted for result in results),
        "rejected": sum(result.rejected for result in results),
        "files": [asdict(result) for result in results],
    }


def _print(results: "Sequence[Result]", bootstrap: str) -> None:
    for result in results:
        if result.state == "stopped":
            say(f"{result.name}: broken off; the same command goes on from there")
        if result.rejected:
            say(f"{result.name}: {result.rejected} rows are no questions: see {result.rejected_file}")
    if known := [result.name for result in results if result.state == "already"]:
        shown = ", ".join(known[:3]) + (" …" if len(known) > 3 else "")
        say(f"in since an earlier run: {shown}; to submit a file again, delete its .submitted.json")
    total = sum(result.submitted for result in results)
    out.print(f"{total} questions are in Kafka ({bootstrap}).", highlight=False)


def _check_sources(files: Sequence[str], topic: str | None, watch: bool) -> None:
    if bool(files) == bool(topic):
        raise typer.BadParameter("name files, folders or -; or --topic, and then no file")
    if STDIN in files and len(files) > 1:
        raise typer.BadParameter("standard input comes alone")
    if watch and not topic and not any(Path(file).is_dir() for file in files):
        raise typer.BadParameter("--watch wants a folder, or a --topic")


def _asked(format: str, columns: str | None, recipe: str | None) -> "Asked":
    from pydantic import TypeAdapter, ValidationError

    from services.contracts.base import RecipeId
    from services.importers.columns import columns as named
    from services.importers.files import Asked

    if columns is not None and format not in ("auto", "csv", "jsonl", "parquet"):
        raise typer.BadParameter(f"--columns goes with csv, jsonl and parquet, not with {format}")
    try:
        TypeAdapter[str | None](RecipeId | None).validate_python(recipe)
        return Asked(format, named(columns) if columns is not None else {}, recipe)
    except ValidationError:
        raise typer.BadParameter("a recipe's id is recipe- and 32 hex digits: see `reasonmed recipes list`") from None
    except ValueError as error:
        raise typer.BadParameter(f"--columns: {error}") from None
