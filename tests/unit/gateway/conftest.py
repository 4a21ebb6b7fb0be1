"""A gateway in memory: the application over ASGI, with a sink that remembers."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest

from services.core.errors import BrokerAway
from services.core.ports import Outgoing
from services.gateway.app import create_app


class FakeKafka:
    """A sink that confirms, refuses, or never answers; and says whether it can be reached."""

    def __init__(self) -> None:
        self.published: list[Outgoing] = []
        self.away = False
        self.silent = False
        self.asked = 0
        self.waiting = asyncio.Event()

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        if self.silent:
            self.waiting.set()
            await asyncio.Event().wait()
        if self.away:
            raise BrokerAway("Kafka: away")
        self.published += messages

    async def reachable(self) -> bool:
        self.asked += 1
        return not self.away


@pytest.fixture
def kafka() -> FakeKafka:
    return FakeKafka()


@pytest.fixture
async def client(kafka: FakeKafka) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(kafka, kafka.reachable, publish_within_s=0.05, under_way=2)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        yield client
