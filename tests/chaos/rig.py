"""The stream under test: everything that runs, and all that the controller knows of it.

Apache Kafka with one broker or three, a ledger, the scripted model server, and the services as processes under the
supervisor that users have.
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
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

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
from services.core.case import ids
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
from tests.chaos.questions import questions

PROJECT = Path(__file__).parents[2]
DRAIN_S = 20.0
"""After SIGTERM: longer than a call, shorter than a slow one, so that both kinds of draining happen."""
SESSION_S = 10.0
"""Until a dead worker's partitions go to others. The default of 30 s would make the run longer, and milder."""
LEASE_S = 15.0
"""A killed process's calls wait for so long; the default of 60 s would only make the run longer."""
SPARE = 2_000
"""Questions that the model server knows beyond the cases: what faults bring in."""
WORKERS = 2
"""Of each stage that waits for models."""
BY_ROUTER = (QUESTION_ADMITTED, CASE_MEDIUM, CASE_DIFFICULT, CASE_ACCEPTED, CASE_REJECTED)
BY_STAGES = (PATHS_GENERATED, PATHS_VERIFIED, RECORD_COMPLETED)
LedgerKind = Literal["sqlite", "valkey"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a run is to be."""

    folder: Path
    cases: int
    faults: int
    seed: int
    brokers: Literal[1, 3]
    ledger: LedgerKind
    minutes: float
    """After so many no fault is begun any more."""


@dataclass
class Known:
    """What the controller did and saw; the account holds the model server's log and the ledger against it."""

    lives: list[Life] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    poison: dict[tuple[str, int, int], bytes] = field(default_factory=dict)
    """What must end as a dead letter with these very bytes, by topic, partition and offset."""
    expected: set[str] = field(default_factory=set)
    """Case ids that must come to an end."""
    admitted: set[str] = field(default_factory=set)
    """Cases that were written as cases: no submission stands for them."""
    marked: dict[str, str] = field(default_factory=dict)
    """Cases that carry a field of a later minor version: its name, by case id."""
    recipes: list[Recipe] = field(default_factory=list)
    """Published only at the end: until then cases of them are dead letters."""
    killers: set[str] = field(default_factory=set)
    """The case ids of messages that kill."""
    failed: int = 0
    """Faults in the background that did not go as they should."""
    late: set[str] = field(default_factory=set)
    """The case ids of those."""


class Rig:
    """A running stream, in the controller's hands."""

    def __init__(
        self,
        options: Options,
        running: Stack,
        kafka: KafkaCluster,
        valkey: ValkeyServer | None,
        model: Process,
        producer: Any,
        ledger: Ledger,
        known: Known,
    ) -> None:
        self.options = options
        self.stack = running
        self.kafka = kafka
        self.valkey = valkey
        self.model = model
        self.ledger = ledger
        self.known = known
        self.progress = Progress()
        self.background: list[asyncio.Task[None]] = []
        """Faults that go on while others come."""
        self.http = httpx.AsyncClient(trust_env=False, timeout=10.0)
        self._producer = producer
        self._spare = questions(SPARE, first=options.cases + 1)
        self._last_message: dict[str, float] = {}
        self._news = asyncio.Condition()
        self._submissions: set[asyncio.Task[None]] = set()
        self._extra_ports: dict[str, int] = {}

    @property
    def log(self) -> Path:
        """The model server's account of its requests."""
        return self.options.folder / "logs" / "calls.jsonl"

    def say(self, text: str) -> None:
        """A line for who watches."""
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

    # --- questions ---------------------------------------------------------------------------------------------------

    def spare(self) -> Question:
        """A question that nobody has handed in."""
        return next(self._spare)

    def submit(self, asked: Iterable[Question], chance: Random) -> None:
        """Hand questions in, in the background and until it is done, whatever is away: half by the gateway, half
        straight to Kafka."""
        for question in asked:
            self.known.expected.add(ids.case_id(question))
            way = self._post if chance.random() < 0.5 else self._publish
            task = asyncio.create_task(way(question))
            self._submissions.add(task)
            task.add_done_callback(self._submissions.discard)

    async def submitted(self) -> None:
        """Return when all that was to be handed in has been."""
        while self._submissions:
            await asyncio.gather(*self._submissions)

    async def put(self, message: OutgoingRecord) -> tuple[str, int, int]:
        """One message as anybody's producer writes it; where it stands."""
        headers = list(message.headers.items())
        sent = await self._producer.send_and_wait(message.topic, value=message.value, key=message.key, headers=headers)
        return sent.topic, sent.partition, sent.offset

    async def _post(self, question: Question) -> None:
        body = orjson.dumps(question.model_dump(mode="json", exclude_none=True))
        while True:
            try:
                answer = await self.http.post(
                    f"{self.stack.gateway}/questions", content=body, headers={"Content-Type": "application/json"}
                )
            except httpx.HTTPError:
                await asyncio.sleep(1.0)
                continue
            if answer.is_success:
                return
            if answer.status_code < 500:
                raise AssertionError(f"the gateway refuses a good question: {answer.status_code} {answer.text}")
            await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))

    async def _publish(self, question: Question) -> None:
        while True:
            try:
                await self.put(outgoing(question))
            except KafkaError:
                await asyncio.sleep(1.0)
                continue
            return

    # --- what has come ------------------------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Count what the topics say, as it comes; it outlives a Kafka that is away."""
        async for message in follow_topic(self.stack.client, *FOLLOWED):
            self.progress.take(message)
            if (message.topic, message.partition, message.offset) not in self.known.poison:
                self._last_message[message.topic] = message.timestamp_ms / 1000
            async with self._news:
                self._news.notify_all()

    def follower_ended(self, following: "asyncio.Task[None]") -> None:
        """Without it the run would wait for what has long happened."""
        if not following.cancelled():
            self.say(f"the follower ended: {following.exception()!r}")

    async def until(self, holds: Callable[[], bool], within_s: float) -> bool:
        """Wait until something holds that the topics can bring about; whether it does."""
        try:
            async with asyncio.timeout(within_s), self._news:
                await self._news.wait_for(holds)
        except TimeoutError:
            return False
        return True

    def moved_since(self, when: float) -> bool:
        """Whether both the router and a stage that waits for models have written since then (Unix seconds)."""
        return all(
            any(self._last_message.get(topic, 0.0) > when for topic in those) for those in (BY_ROUTER, BY_STAGES)
        )

    # --- processes ----------------------------------------------------------------------------------------------------

    async def why_not_ready(self, name: str) -> str | None:
        """What keeps a worker from being ready; None: it is."""
        port = self.stack.ports.get(name) or self.extra_port(name)
        try:
            answer = await self.http.get(f"http://{LOOPBACK}:{port}/readyz")
        except httpx.HTTPError as error:
            return type(error).__name__
        return None if answer.is_success else answer.text.strip()

    def extra_port(self, name: str) -> int:
        """The port of a worker beyond the plan's."""
        return self._extra_ports.setdefault(name, free_ports(1)[0])

    async def command(self, *arguments: str) -> str:
        """Run `reasonmed` as an operator does; what it printed. Raises ProcessError."""
        log = self.options.folder / "logs" / "commands.log"
        argv = [sys.executable, "-m", "services.cli", *arguments, "--folder", str(self.options.folder)]
        before = log.stat().st_size if log.exists() else 0
        async with Process(f"reasonmed {' '.join(arguments)}", argv, log=log, cwd=PROJECT) as process:
            await process.succeed()
        return log.read_bytes()[before:].decode(errors="replace")

    async def window(self, kind: str, seconds: float, **more: object) -> None:
        """Have the model server answer badly from now, for so long, and wait until it is over."""
        base = self.stack.model.endpoint.base_url.removesuffix("/v1")
        (await self.http.post(f"{base}/faults", json={"kind": kind, "seconds": seconds, **more})).raise_for_status()
        await asyncio.sleep(seconds)

    async def aclose(self) -> None:
        """Let go of what was opened here."""
        await self.http.aclose()


class Tail:
    """What is appended to a file of JSON lines from now on."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read = file.stat().st_size

    def new(self) -> list[Any]:
        """The lines since the last time."""
        with self._file.open("rb") as file:
            file.seek(self._read)
            whole = file.read().rpartition(b"\n")[0]
        self._read += len(whole) + bool(whole)
        return [orjson.loads(line) for line in whole.splitlines()]
