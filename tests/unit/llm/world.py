"""A ledger, a client that the test holds in its hands, and dispatchers between them, in virtual time."""

import asyncio
import random
from typing import Any

from services.core.endpoint import Endpoint
from services.core.holds import Holds
from services.ledger.memory.ledger import memory_ledger
from services.ledger.memory.server import MemoryServer
from services.llm.dispatcher import Dispatcher
from services.llm.pace import Pace

ENDPOINTS = {"writer": Endpoint("http://model/v1", timeout_s=100, max_calls=2), "judge": Endpoint("http://judge/v1")}


class World:
    """A ledger, and dispatchers beside it."""

    def __init__(self, client) -> None:
        clock = asyncio.get_running_loop().time
        self.client = client
        self.server = MemoryServer(clock)
        self.ledger = memory_ledger(self.server)
        self.holds = Holds(clock)
        self.claims: list[tuple[str, ...]] = []
        self._claim = self.ledger.calls.claim
        self.ledger.calls.claim = self._noted

    async def _noted(self, call_ids, **how):
        self.claims.append(tuple(call_ids))
        return await self._claim(call_ids, **how)

    def dispatcher(self, owner: str = "one", **pace) -> Dispatcher:
        return Dispatcher(
            self.client,
            self.ledger.calls,
            endpoints=ENDPOINTS,
            owner=owner,
            holds=self.holds,
            pace=Pace(**pace),
            jitter=random.Random(1),
        )

    async def ends(self) -> list[tuple[str, str]]:
        """How each lease ever given ended, by owner."""
        return [(row.owner, row.ended) for row in await self.ledger.books.claims()]


async def settled() -> None:
    """Let everything happen that can happen now."""
    for _ in range(30):
        await asyncio.sleep(0)


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await settled()


def texts(answers) -> list[str]:
    return [answer.outcome.text for answer in answers]


async def started(models, *requests) -> asyncio.Task[Any]:
    task = asyncio.create_task(models.ask(list(requests)))
    await settled()
    return task
