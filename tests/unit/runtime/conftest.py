"""A bench for engines: Kafka and the ledger in memory, a handler in which any record can be made to wait."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from services.contracts.codec import decode
from services.contracts.dead import DEAD_LETTER_HEADER, DeadLetter
from services.core.holds import Holds
from services.core.messages import ConsumedRecord, OutgoingRecord, Position, TopicPartition
from services.ledger.memory.attempts import MemoryAttempts
from services.ledger.memory.circuits import MemoryCircuits
from services.ledger.memory.server import MemoryServer
from services.runtime.engine.commit_rule import Committed
from services.runtime.engine.engine import Engine
from services.runtime.engine.limits import Limits
from services.runtime.kafka.memory import MemoryBroker, MemorySink, MemorySource

QUICK: dict[str, Any] = {
    "poll_s": 0.02,
    "commit_s": 0.01,
    "away_s": 0.02,
    "retry_s": 0.001,
    "watch_s": 0.01,
    "close_s": 0.2,
    "leave_s": 5.0,
}
IN = TopicPartition("in", 0)


class Bench:
    """One service `toy` that copies `in` to `out`, record by record."""

    def __init__(self, partitions: int = 1) -> None:
        self.broker = MemoryBroker(partitions)
        self.server = MemoryServer()
        self.ledger = MemoryAttempts(self.server)
        self.circuits = MemoryCircuits(self.server)
        self.holds = Holds()
        self.begun: list[bytes] = []
        self.inside: Counter[bytes] = Counter()
        self.most_inside = 0
        self.raises: dict[bytes, list[BaseException]] = defaultdict(list)
        """What the handler raises for a message, one after the other, before it copies it."""
        self.closed_gates: dict[bytes, asyncio.Event] = {}
        self.drained = 0
        self.workers: list[Worker] = []

    def send(self, *values: bytes, key: bytes | None = None) -> None:
        for value in values:
            self.broker.append(OutgoingRecord("in", key or value, value, {"from": b"test"}))

    def hold_back(self, *values: bytes) -> None:
        """The handler waits with these until `let`."""
        for value in values:
            self.closed_gates[value] = asyncio.Event()

    def let(self, *values: bytes) -> None:
        for value in values:
            self.closed_gates.pop(value).set()

    async def handle(self, message: ConsumedRecord) -> Sequence[OutgoingRecord]:
        value = message.value or b""
        self.begun.append(value)
        self.inside[value] += 1
        self.most_inside = max(self.most_inside, self.inside.total())
        try:
            if gate := self.closed_gates.get(value):
                await gate.wait()
            await asyncio.sleep(0)
            if self.raises[value]:
                raise self.raises[value].pop(0)
            return [OutgoingRecord("out", message.key or b"", value, {})]
        finally:
            self.inside[value] -= 1

    def worker(self, **settings: Any) -> "Worker":
        self.workers.append(Worker(self, settings))
        return self.workers[-1]

    def outputs(self) -> list[bytes]:
        return [message.value or b"" for message in self.broker.messages("out")]

    def dead(self) -> list[tuple[DeadLetter, ConsumedRecord]]:
        letters = self.broker.messages("toy-dead")
        return [(decode(DeadLetter, letter.headers[DEAD_LETTER_HEADER]), letter) for letter in letters]

    def committed(self, partition: TopicPartition = IN) -> Committed | None:
        return self.broker.commits.get(("toys", partition))

    async def left_open(self, offset: int) -> int:
        """Attempts that others than us would count."""
        position = Position("in", 0, offset)
        count = await self.ledger.open_attempt("toy", position, owner="the test")
        await self.ledger.close_attempt("toy", position, owner="the test")
        return count


class Worker:
    """An engine that runs within `async with`; left, it is stopped and drained."""

    def __init__(self, bench: Bench, settings: dict[str, Any]) -> None:
        self.owner = f"worker-{len(bench.workers)}"
        self.source = MemorySource(bench.broker, topics=["in"], group="toys")
        self.stop = asyncio.Event()
        self._bench = bench
        limits = Limits(**{**QUICK, **settings.pop("limits", {})})
        self.engine = Engine(
            **{
                "service": "toy",
                "owner": self.owner,
                "source": self.source,
                "sink": MemorySink(bench.broker),
                "handle": bench.handle,
                "attempts": bench.ledger,
                "circuits": bench.circuits,
                "holds": bench.holds,
                "dead_topic": "toy-dead",
                "limits": limits,
                "on_drain": self._drains,
                **settings,
            }
        )
        self.counters = self.engine.counters
        self.running: asyncio.Task[None] | None = None

    def _drains(self) -> None:
        self._bench.drained += 1

    async def __aenter__(self) -> "Worker":
        self.running = asyncio.create_task(self.engine.run(self.stop))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop.set()
        if self.running is not None:
            await self.running

    async def die(self) -> None:
        """As kill -9: nothing more is committed, published or closed by it. Others see what it left."""
        assert self.running is not None
        held, self._bench.broker.away, self._bench.server.away = self._bench.broker.away, "dead", "dead"
        self.running.cancel()
        await asyncio.wait({self.running})
        self._bench.broker.away, self._bench.server.away = held, None
        self.running = None


async def eventually(holds: Callable[[], Any], within_s: float = 5.0) -> None:
    """Return once it holds."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 -- anything may make it hold
            await asyncio.sleep(0.002)


def names(count: int, start: int = 0) -> list[bytes]:
    return [str(number).encode() for number in range(start, start + count)]


async def polled(worker: Any, eventually: Callable[..., Any]) -> None:
    """Return after some more polls without room: whatever it would have done, it has done."""
    before = worker.counters.pauses
    await eventually(lambda: worker.counters.pauses >= before + 3)


@pytest.fixture(name="eventually")
def _eventually() -> Callable[..., Any]:
    return eventually


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    for worker in made.workers:
        if worker.running is not None and not worker.running.done():
            worker.running.cancel()
            await asyncio.wait({worker.running})


@pytest.fixture
def two_partitions() -> Bench:
    return Bench(partitions=2)
