"""The stream under test: its processes, and the controller's records.

Apache Kafka with one broker or three, a ledger, the scripted model server, and the services as processes under the
supervisor of `reasonmed up`.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal

import httpx
import orjson
from aiokafka.errors import KafkaError

from services.contracts.question import Question
from services.contracts.recipe import Recipe
from services.contracts.topics import (
    CASE_ACCEPTED,
    CASE_DIFFICULT,
    CASE_MEDIUM,
    CASE_REJECTED,
    PATHS_GENERATED,
    PATHS_VERIFIED,
    QUESTION_ADMITTED,
    RECORD_COMPLETED,
)
from services.core import ids
from services.core.messages import OutgoingRecord
from services.importers.rows import outgoing
from services.ledger import Ledger
from services.local.processes.ports import LOOPBACK, free_ports
from services.local.processes.process import Process
from services.local.progress import FOLLOWED, Progress
from services.local.servers.kafka import KafkaCluster
from services.local.servers.valkey import ValkeyServer
from services.local.stack import Stack
from services.runtime.kafka.reader import follow_topic
from tests.chaos.causes import Life, Outage, Pause
from tests.chaos.pool import ModelPool
from tests.chaos.questions import questions

PROJECT = Path(__file__).parents[2]
DRAIN_S = 20.0
"""Drain time-out: longer than a normal call, shorter than a slow one, so that both kinds of drain occur."""
SESSION_S = 10.0
"""Session time-out. The default of 30 s would make the run longer and less severe."""
LEASE_S = 15.0
"""Lease: calls of a killed process wait for it. The default of 60 s would only make the run longer."""
SPARE = 2_000
"""Additional questions known to the model server, for faults."""
WORKERS = 2
"""Workers of each stage that calls models."""
BY_ROUTER = (QUESTION_ADMITTED, CASE_MEDIUM, CASE_DIFFICULT, CASE_ACCEPTED, CASE_REJECTED)
BY_STAGES = (PATHS_GENERATED, PATHS_VERIFIED, RECORD_COMPLETED)
LedgerKind = Literal["sqlite", "valkey"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a run."""

    folder: Path
    cases: int
    faults: int
    seed: int
    brokers: Literal[1, 3]
    ledger: LedgerKind
    minutes: float
    """No fault starts after this time."""
    sampling: Literal["full", "mixed"] = "full"
    """mixed: about half of the questions name a recipe that samples adaptively and judges only where needed."""


@dataclass
class Known:
    """The controller's records, which the audit compares with the model server's log and the ledger."""

    lives: list[Life] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    poison: dict[tuple[str, int, int], bytes] = field(default_factory=dict)
    """Messages that must become dead letters with exactly these bytes, by topic, partition and offset."""
    expected: set[str] = field(default_factory=set)
    """Case ids that must end."""
    admitted: set[str] = field(default_factory=set)
    """Cases written directly as cases, without a submission."""
    marked: dict[str, str] = field(default_factory=dict)
    """Cases that carry a field of a later minor version: its name, by case id."""
    recipes: list[Recipe] = field(default_factory=list)
    """Recipes published only at the end; until then their cases are dead letters."""
    killers: set[str] = field(default_factory=set)
    """The case ids of messages that kill their process."""
    failed: int = 0
    """Background faults that failed."""
    late: set[str] = field(default_factory=set)
    """The case ids of these recipes' cases."""


class Rig:
    """A running stream under the controller."""

    def __init__(
        self,
        options: Options,
        running: Stack,
        kafka: KafkaCluster,
        valkey: ValkeyServer | None,
        models: ModelPool,
        producer: Any,
        ledger: Ledger,
        known: Known,
    ) -> None:
        self.options = options
        self.stack = running
        self.kafka = kafka
        self.valkey = valkey
        self.models = models
        self.ledger = ledger
        self.known = known
        self.progress = Progress()
        self.background: list[asyncio.Task[None]] = []
        """Faults that run while others are injected."""
        self.http = httpx.AsyncClient(trust_env=False, timeout=10.0)
        self._producer = producer
        self._spare = questions(SPARE, first=options.cases + 1)
        self._last_message: dict[str, float] = {}
        self._news = asyncio.Condition()
        self._submissions: set[asyncio.Task[None]] = set()
        self._extra_ports: dict[str, int] = {}
        self.adaptive: str | None = None
        """The published recipe that samples adaptively, if the options ask for it."""

    @property
    def log(self) -> Path:
        """The model server's request log."""
        return self.options.folder / "logs" / "calls.jsonl"

    def say(self, text: str) -> None:
        """Print a progress line."""
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

    # --- questions ---------------------------------------------------------------------------------------------------

    def spare(self) -> Question:
        """A question that was not submitted yet."""
        return next(self._spare)

    def submit(self, asked: Iterable[Question], chance: Random) -> None:
        """Submit questions in the background, with retries until they are accepted: half through the gateway, half
        directly to Kafka."""
        for question in asked:
            self.known.expected.add(ids.case_id(question))
            way = self._post if chance.random() < 0.5 else self._publish
            recipe_id = self.adaptive if self.adaptive is not None and chance.random() < 0.5 else None
            task = asyncio.create_task(way(question, recipe_id))
            self._submissions.add(task)
            task.add_done_callback(self._submissions.discard)

    async def submitted(self) -> None:
        """Wait until all questions are submitted."""
        while self._submissions:
            await asyncio.gather(*self._submissions)

    async def put(self, message: OutgoingRecord) -> tuple[str, int, int]:
        """Publish one message with a plain producer; returns its topic, partition and offset."""
        headers = list(message.headers.items())
        sent = await self._producer.send_and_wait(message.topic, value=message.value, key=message.key, headers=headers)
        return sent.topic, sent.partition, sent.offset

    async def _post(self, question: Question, recipe_id: str | None) -> None:
        named = {} if recipe_id is None else {"recipe": recipe_id}
        body = orjson.dumps(question.model_dump(mode="json", exclude_none=True))
        while True:
            try:
                answer = await self.http.post(
                    f"{self.stack.gateway}/questions",
                    params=named,
                    content=body,
                    headers={"Content-Type": "application/json"},
                )
            except httpx.HTTPError:
                await asyncio.sleep(1.0)
                continue
            if answer.is_success:
                return
            if answer.status_code < 500:
                raise AssertionError(f"the gateway refuses a good question: {answer.status_code} {answer.text}")
            await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))

    async def _publish(self, question: Question, recipe_id: str | None) -> None:
        while True:
            try:
                await self.put(outgoing(question, recipe_id))
            except KafkaError:
                await asyncio.sleep(1.0)
                continue
            return

    # --- progress -----------------------------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Follow the topics and count their messages; continues after outages of Kafka."""
        async for message in follow_topic(self.stack.client, *FOLLOWED):
            self.progress.take(message)
            if (message.topic, message.partition, message.offset) not in self.known.poison:
                self._last_message[message.topic] = message.timestamp_ms / 1000
            async with self._news:
                self._news.notify_all()

    def follower_ended(self, following: "asyncio.Task[None]") -> None:
        """Report the end of the follower; without it the run would wait in vain."""
        if not following.cancelled():
            self.say(f"the follower ended: {following.exception()!r}")

    async def until(self, holds: Callable[[], bool], within_s: float) -> bool:
        """Wait until a condition on the topics holds; returns whether it does."""
        try:
            async with asyncio.timeout(within_s), self._news:
                await self._news.wait_for(holds)
        except TimeoutError:
            return False
        return True

    def moved_since(self, when: float) -> bool:
        """Whether both the router and a stage that calls models have published since then (Unix seconds)."""
        return all(
            any(self._last_message.get(topic, 0.0) > when for topic in those) for those in (BY_ROUTER, BY_STAGES)
        )

    # --- processes ----------------------------------------------------------------------------------------------------

    async def why_not_ready(self, name: str) -> str | None:
        """Why a worker is not ready; None: it is ready."""
        port = self.stack.ports.get(name) or self.extra_port(name)
        try:
            answer = await self.http.get(f"http://{LOOPBACK}:{port}/readyz")
        except httpx.HTTPError as error:
            return type(error).__name__
        return None if answer.is_success else answer.text.strip()

    def extra_port(self, name: str) -> int:
        """The port of an additional worker."""
        return self._extra_ports.setdefault(name, free_ports(1)[0])

    async def command(self, *arguments: str) -> str:
        """Run a `reasonmed` command; returns its output. Raises ProcessError."""
        log = self.options.folder / "logs" / "commands.log"
        argv = [sys.executable, "-m", "services.cli", *arguments, "--folder", str(self.options.folder)]
        before = log.stat().st_size if log.exists() else 0
        async with Process(f"reasonmed {' '.join(arguments)}", argv, log=log, cwd=PROJECT) as process:
            await process.succeed()
        return log.read_bytes()[before:].decode(errors="replace")

    async def window(self, kind: str, seconds: float, **more: object) -> None:
        """Make the pool's first model server answer with this fault for some seconds, and wait for its end."""
        (
            await self.http.post(
                f"http://{LOOPBACK}:{self.models.port}/faults", json={"kind": kind, "seconds": seconds, **more}
            )
        ).raise_for_status()
        await asyncio.sleep(seconds)

    async def aclose(self) -> None:
        """Close what was opened here."""
        await self.http.aclose()


class Tail:
    """The lines appended to a file of JSON lines from now on."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read = file.stat().st_size

    def new(self) -> list[Any]:
        """The lines since the last call."""
        with self._file.open("rb") as file:
            file.seek(self._read)
            whole = file.read().rpartition(b"\n")[0]
        self._read += len(whole) + bool(whole)
        return [orjson.loads(line) for line in whole.splitlines()]
