"""The stream as a test has it in hand: the services as they are, each a process, on a Kafka of its own.

    async with running(folder, recipes=[recipe], servers={"slow": "20"}, aliases={"slow": "slow"}) as stream:
        await stream.start("generator-1", "verifier-1", ...)
        await stream.submit(questions)
        await stream.until_ended(questions)

What the topics hold is read once, from the beginning, by one tap, and waited for without polling.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from services.contracts.codec import encode
from services.contracts.dead import DEAD_LETTER_HEADER
from services.contracts.question import Question, Submission
from services.contracts.recipe import Recipe
from services.contracts.topics import QUESTION_SUBMITTED, topics
from services.core import ids
from services.core.messages import OutgoingRecord
from services.ledger import open_ledger
from services.llm.scripted import known
from services.local.audit.report import Ledger, audit_report
from services.local.processes.ports import free_ports
from services.local.processes.process import Process
from services.local.servers.kafka import KafkaCluster
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.declare import declare, specs
from services.runtime.kafka.sink import KafkaSink
from services.worker.publishing import publish_recipe
from tests.kafka.tap import PARTITIONS, Tap, ask_until, http

PROJECT = Path(__file__).parents[2]
DEFECTS = (
    "missing",
    "two_ends",
    "differing_repeats",
    "duplicate_records",
    "untraceable_records",
    "route_mismatches",
    "calls_against_ledger",
)
"""Counts that are 0 in every audit report, whatever happened to the processes."""

LogLine = Mapping[str, Any]


class ModelServer:
    """A scripted server, with its log."""

    def __init__(self, name: str, latency: str, folder: Path, questions: Path) -> None:
        (self.port,) = free_ports(1)
        self._log = folder / f"{name}.jsonl"
        self._read = 0
        self._lines: list[LogLine] = []
        argv = [sys.executable, "-m", "services.llm.scripted", "--port", str(self.port), "--latency", latency]
        argv += ["--slots", "256", "--seed", "1", "--log", str(self._log), "--questions", str(questions)]
        self.process = Process(name, argv, log=folder / f"{name}.log", cwd=PROJECT, ready=self._answers)

    def lines(self) -> list[LogLine]:
        if self._log.exists():
            with self._log.open("rb") as file:
                file.seek(self._read)
                whole, end, _ = file.read().rpartition(b"\n")
            self._read += len(whole + end)
            self._lines += [json.loads(line) for line in whole.splitlines()]
        return self._lines

    async def _answers(self) -> None:
        await ask_until(lambda: _why_not(f"http://127.0.0.1:{self.port}/health"), lambda why: not why)


class Stream:
    """What a test does to the stream, and reads of it."""

    def __init__(
        self,
        kafka: KafkaCluster,
        folder: Path,
        servers: Mapping[str, ModelServer],
        env: Mapping[str, str],
        programs: Mapping[str, Sequence[str]],
    ) -> None:
        self.kafka = kafka
        self.client = KafkaClient(bootstrap=kafka.bootstrap)
        self.ledger = env["REASONMED_LEDGER"]
        self.servers = servers
        self.tap = Tap()
        self.sink = KafkaSink(self.client)
        self._folder = folder
        self._env = env
        self._programs = programs
        self._workers: dict[str, Process] = {}
        self._ports: dict[str, int] = {}

    async def start(self, *names: str, tree: Path = PROJECT) -> None:
        """Start workers (again), by name: generator-1, refiner-medium-1. Return once all of them are ready. `tree`: the
        folder whose code they run."""
        for name in names:
            await self.begin(name, tree)
        await asyncio.gather(*(self.until_ready(name) for name in names))

    async def begin(self, name: str, tree: Path = PROJECT) -> Process:
        """Start a worker (again), and don't wait for it."""
        if name not in self._workers or self._workers[name].cwd != tree:
            self._workers[name] = self._worker(name, tree)
        await self._workers[name].start()
        return self._workers[name]

    async def until_ready(self, name: str, *, within_s: float = 60.0) -> None:
        await ask_until(lambda: self.why_not_ready(name), lambda why: not why, within_s=within_s)

    async def why_not_ready(self, name: str) -> str:
        """What keeps a worker from being ready; nothing, if it is."""
        return await _why_not(f"http://127.0.0.1:{self._ports[name]}/readyz")

    async def answers(self, name: str) -> bool:
        """Whether a worker is so far that it says whether it is alive."""
        return not await _why_not(f"http://127.0.0.1:{self._ports[name]}/healthz")

    def worker(self, name: str) -> Process:
        return self._workers[name]

    async def metrics(self, name: str) -> str:
        """A worker's metrics; nothing while it doesn't answer."""
        return await self.page(name, "metrics")

    async def page(self, name: str, path: str) -> str:
        """A page of a worker's HTTP server; nothing while it doesn't answer."""
        try:
            async with http() as client:
                return (await client.get(f"http://127.0.0.1:{self._ports[name]}/{path}")).text
        except httpx.HTTPError:
            return ""

    async def submit(self, questions: Iterable[Question], recipe: Recipe | None = None) -> None:
        """Hand questions in; for a recipe, or the current one."""
        await self.sink.publish([submission(question, recipe) for question in questions])

    async def until_ended(self, questions: Collection[Question]) -> None:
        """Wait until each has come to an end."""
        wanted = case_ids(questions)
        await self.tap.until(
            lambda: wanted <= self.tap.seen.ended_questions(),
            lambda: f"{len(wanted - self.tap.seen.ended_questions())} of {len(wanted)} have not ended",
            within_s=90.0,
        )

    def log(self, questions: Collection[Question] | None = None) -> list[LogLine]:
        """What the model servers were asked, in order; about these questions, or all."""
        lines = [line for server in self.servers.values() for line in server.lines() if line["event"] != "window"]
        if questions is not None:
            wanted = case_ids(questions)
            lines = [line for line in lines if line["case"] in wanted]
        return sorted(lines, key=lambda line: line["at"] if line["event"] == "start" else line["end"])

    def under_way(self, questions: Collection[Question], worker: Process | None = None) -> set[str]:
        """Calls that were begun, by this worker or any, and have not ended: their ids."""
        mine = "" if worker is None else f"-{worker.pid}-"
        begun = {(line["server"], line["n"]): line for line in self.log(questions)}
        return {line["id"] for line in begun.values() if line["event"] == "start" and mine in line["owner"]}

    async def until_under_way(self, questions: Collection[Question], calls: int) -> None:
        """Wait until so many calls about these questions are under way."""

        async def under_way() -> int:
            return len(self.under_way(questions))

        await ask_until(under_way, lambda count: count == calls)

    def repeated(self, questions: Collection[Question]) -> set[str]:
        """Calls that were begun more than once."""
        starts = Counter(line["id"] for line in self.log(questions) if line["event"] == "start")
        return {call_id for call_id, count in starts.items() if count > 1}

    def dead(self, service: str) -> list[tuple[str, bytes]]:
        """A service's dead letters: their kind and the original's bytes."""
        return [
            (json.loads(message.headers[DEAD_LETTER_HEADER])["kind"], message.value or b"")
            for message in self.tap.messages[f"{service}-dead"]
        ]

    async def audit(self) -> dict[str, Any]:
        """The audit report of the run so far."""
        async with open_ledger(self.ledger) as ledger:
            books = Ledger(await ledger.books.calls(), await ledger.books.claims())
        seen = self.tap.seen
        return audit_report(seen, books, self.log(), list(seen.records), used={}, seconds=1.0, dataset=self._folder)

    async def defects(self) -> dict[str, int]:
        """The defects that the audit counts; empty if there are none."""
        report = await self.audit()
        return {name: report[name] for name in DEFECTS if report[name]}

    def _worker(self, name: str, tree: Path) -> Process:
        service, *rest = name.rpartition("-")[0].split("-")
        lane = ["--lane", *rest] if rest else []
        (self._ports[name],) = free_ports(1)
        paths = os.pathsep.join([str(tree), *filter(None, [self._env.get("PYTHONPATH")])])
        own = {"PYTHONPATH": paths, "REASONMED_PORT": str(self._ports[name]), "REASONMED_NAME": name}
        program = self._programs.get(service, ["-m", f"services.{service}"])
        argv = [sys.executable, *program, *lane]
        return Process(name, argv, log=self._folder / f"{name}.log", env={**self._env, **own}, cwd=tree)

    async def aclose(self) -> None:
        await asyncio.gather(*(worker.terminate(10.0) for worker in self._workers.values()))
        await self.sink.aclose()


@asynccontextmanager
async def running(  # noqa: PLR0913 -- the parts of a stream, each by name
    folder: Path,
    *,
    recipes: Sequence[Recipe],
    servers: Mapping[str, str],
    aliases: Mapping[str, str],
    settings: Mapping[str, str] | None = None,
    ledger: str | None = None,
    programs: Mapping[str, Sequence[str]] | None = None,
    properties: Mapping[str, str] | None = None,
    questions: Path = known.SAMPLES,
) -> AsyncIterator[Stream]:
    """Kafka, its topics and recipes (the first is the current one), and no worker yet. `servers`: the latency of each
    scripted server, by name; they are started by the test. `aliases`: the server of each alias. `programs`: Python's
    arguments for a service that isn't to run as it is. `properties`: the broker's. `questions`: those that the servers
    know."""
    async with AsyncExitStack() as stack:
        kafka = await stack.enter_async_context(KafkaCluster(folder / "kafka", properties=properties))
        models = {name: ModelServer(name, latency, folder, questions) for name, latency in servers.items()}
        for server in models.values():
            stack.push_async_callback(server.process.terminate)
        endpoints = {alias: {"base_url": f"http://127.0.0.1:{models[name].port}/v1"} for alias, name in aliases.items()}
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("REASONMED_")},
            "REASONMED_KAFKA__BOOTSTRAP": kafka.bootstrap,
            "REASONMED_LEDGER": ledger or f"sqlite://{folder}/ledger.sqlite",
            "REASONMED_MODELS": json.dumps(endpoints),
            **(settings or {}),
        }
        stream = Stream(kafka, folder, models, env, programs or {})
        stack.push_async_callback(stream.aclose)
        limit = stream.client.max_message_bytes
        await declare(
            stream.client, specs(topics().values(), replication=1, max_message_bytes=limit, partitions=PARTITIONS)
        )
        for recipe in reversed(recipes):
            await publish_recipe(stream.sink, recipe, current=True, max_message_bytes=limit)
        ready = asyncio.Event()
        following = asyncio.create_task(stream.tap.follow(stream.client, ready))
        stack.push_async_callback(_end, following)
        await asyncio.wait({following, asyncio.ensure_future(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
        yield stream


def submission(question: Question, recipe: Recipe | None = None) -> OutgoingRecord:
    recipe_id = None if recipe is None else ids.recipe_id(recipe)
    handed_in = Submission(case_id=ids.case_id(question), question=question, recipe_id=recipe_id)
    return OutgoingRecord(QUESTION_SUBMITTED, handed_in.case_id.encode(), encode(handed_in), {})


def case_ids(questions: Collection[Question]) -> set[str]:
    return {ids.case_id(question) for question in questions}


async def _why_not(url: str) -> str:
    """What keeps a health page from saying yes; nothing, where it does."""
    try:
        async with http() as client:
            answer = await client.get(url)
    except httpx.HTTPError as error:
        return type(error).__name__
    return "" if answer.status_code == 200 else answer.text or str(answer.status_code)


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
