"""A gateway in memory: the application over ASGI, with a sink that remembers."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest

from services.contracts.recipe import Recipe
from services.core import ids
from services.core.errors import BrokerAway
from services.core.messages import ConsumedRecord, OutgoingRecord, Position
from services.gateway.app import Bounds, Outside, create_app
from services.ledger import Ledger
from services.ledger.memory.ledger import memory_ledger
from services.ledger.memory.status import MemoryStatusStore
from tests.strategies import recipe


class FakeKafka:
    """A sink that confirms, refuses, or never answers; and says whether it can be reached."""

    def __init__(self) -> None:
        self.published: list[OutgoingRecord] = []
        self.away = False
        self.takes = float("inf")
        """Publishes that are confirmed before it goes away."""
        self.silent = False
        self.asked = 0
        self.held: dict[Position, bytes] = {}
        self.waiting = asyncio.Event()

    async def publish(self, messages: Sequence[OutgoingRecord]) -> None:
        if self.silent:
            self.waiting.set()
            await asyncio.Event().wait()
        if self.away:
            raise BrokerAway("Kafka: away")
        self.takes -= 1
        self.away = self.takes <= 0
        self.published += messages

    async def bodies(self, positions: Sequence[Position]) -> list[ConsumedRecord]:
        if self.away:
            raise BrokerAway("Kafka: away")
        return [
            ConsumedRecord(at.topic, at.partition, at.offset, None, self.held[at], {})
            for at in positions
            if at in self.held
        ]

    async def reachable(self) -> bool:
        self.asked += 1
        return not self.away


@pytest.fixture
def kafka() -> FakeKafka:
    return FakeKafka()


@pytest.fixture
def standings() -> MemoryStatusStore:
    return MemoryStatusStore()


@pytest.fixture
def ledger() -> Ledger:
    return memory_ledger()


@pytest.fixture
def outside(kafka: FakeKafka, standings: MemoryStatusStore, ledger: Ledger) -> Outside:
    async def recipe_of(recipe_id: str) -> Recipe | None:
        return recipe() if ids.recipe_id(recipe()) == recipe_id else None

    return Outside(kafka, kafka.reachable, standings, kafka.bodies, ledger.books, recipe_of)


@pytest.fixture
async def client(outside: Outside) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(outside, bounds=Bounds(publish_within_s=0.05, under_way=2, batches=1, reads=1, listeners=1))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        yield client
