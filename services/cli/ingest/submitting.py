"""How `reasonmed submit` takes files, folders, standard input or a topic, and what it says of them."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from services.cli.console import Failed, out
from services.cli.ingest.progress import observed, say, say_passed_over
from services.cli.run.recipe_store import published
from services.contracts.topics import QUESTION_SUBMITTED, in_lane
from services.core.messages import Sink
from services.importers.files import Observer, Result, submit_file, submit_stdin
from services.importers.folders import PassedOver, arrivals, walk
from services.importers.formats import Asked
from services.importers.places import File
from services.importers.rejects import ENDING, Rejects
from services.importers.submit import Counts, PatientSink, Stop
from services.importers.topic import group, take_topic
from services.recipes.published import why_unknown
from services.runtime.kafka.admin import cluster_id, held
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.sink import KafkaSink
from services.runtime.kafka.source import KafkaSource


def exit_code(results: Sequence[Result], watch: bool) -> int:
    """1 where a row or a file was refused, where a run was stopped, or where nothing was submitted now or before."""
    if any(result.rejected or result.state in ("refused", "stopped") for result in results):
        return 1
    return 0 if watch or any(result.submitted or result.state == "already" for result in results) else 1


async def run(
    kafka: KafkaClient,
    asked: Asked,
    paths: Sequence[File],
    topic: str | None,
    watch: bool,
) -> tuple[list[Result], list[PassedOver]]:
    """What became of each source, and the files that weren't read. Raises Failed where a topic is missing or the recipe
    isn't published."""
    submitted = in_lane(QUESTION_SUBMITTED, asked.lane)
    has = {partition.topic for partition in await held(kafka, [submitted, *([topic] if topic else [])])}
    if submitted not in has:
        raise Failed(f"Kafka at {kafka.bootstrap} has no topic {submitted}: run `reasonmed topics declare`")
    if topic and topic not in has:
        raise Failed(f"Kafka at {kafka.bootstrap} has no topic {topic}")
    if asked.recipe_id is not None:
        names, _ = await published(kafka)
        if why := why_unknown(asked.recipe_id, {key: recipe.name for key, recipe in names.items()}):
            raise Failed(f"--recipe {asked.recipe_id}: {why}")
    stop, passed_over = Stop(), list[PassedOver]()
    async with KafkaSink(kafka) as kafka_sink:
        with observed(_counted) as observer:
            sink: Sink = PatientSink(kafka_sink, stop, observer.warned) if watch else kafka_sink
            if paths:
                with _ended_by_signal(stop):
                    cluster = await cluster_id(kafka)
                    results = await submit_paths(
                        paths, asked, cluster, sink,
                        observer=observer, stop=stop, watch=watch, passed_over=passed_over,
                    )  # fmt: skip
                    return results, passed_over
            if topic:
                with _ended_by_signal(stop):
                    return [await _topic(kafka, topic, asked, sink, observer=observer, stop=stop, follow=watch)], []
            rejects = Rejects(Path(f"stdin{ENDING}"), keep=0, on_row=observer.rejected)
            return [await submit_stdin(asked, sink, rejects, observer=observer, stop=stop)], []


async def submit_paths(
    paths: Sequence[File],
    asked: Asked,
    cluster: str,
    sink: Sink,
    *,
    observer: Observer,
    stop: Stop,
    watch: bool,
    passed_over: list[PassedOver],
) -> list[Result]:
    """Submit files and the files of folders; with `watch`, also what arrives in folders, until `stop`."""
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


async def _files(paths: Sequence[File], stop: Stop, watch: bool, passed_over: list[PassedOver]) -> AsyncIterator[File]:
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
    kafka: KafkaClient, topic: str, asked: Asked, sink: Sink, *, observer: Observer, stop: Stop, follow: bool
) -> Result:
    source = KafkaSource(kafka, topics=[topic], group=group(topic))
    rejects = Rejects(Path(f"{topic}{ENDING}"), keep=None, on_row=observer.rejected)
    try:
        return await take_topic(topic, source, asked, sink, rejects, observer=observer, stop=stop, follow=follow)
    finally:
        rejects.close()


@contextmanager
def _ended_by_signal(stop: Stop) -> Iterator[None]:
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


def _counted(counts: Counts) -> str:
    return f"{counts.submitted:,} submitted, {counts.rejected:,} rejected"


def report(results: Sequence[Result], passed_over: Sequence[PassedOver] = ()) -> dict[str, object]:
    return {
        "submitted": sum(result.submitted for result in results),
        "rejected": sum(result.rejected for result in results),
        "flagged": sum(result.flagged for result in results),
        "files": [asdict(result) for result in results],
        "passed_over": [asdict(one) for one in passed_over],
    }


def show(results: Sequence[Result], bootstrap: str) -> None:
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
