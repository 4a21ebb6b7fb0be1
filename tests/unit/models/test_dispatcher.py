"""The dispatcher, in virtual time: each call once, none lost, whatever is cancelled, away, or going."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from services.core.calls import Reply
from services.core.endpoint import Endpoint
from services.core.holds import Holds
from services.ledger.memory import MemoryLedger
from services.models.dispatcher import Dispatcher
from services.models.pace import Pace

ENDPOINTS = {"writer": Endpoint("http://model/v1", timeout_s=100, max_calls=2), "judge": Endpoint("http://model/v1")}


class World:
    """A ledger, and dispatchers beside it."""

    def __init__(self, client) -> None:
        clock = asyncio.get_running_loop().time
        self.client = client
        self.ledger = MemoryLedger(clock)
        self.holds = Holds(clock)
        self.claims: list[tuple[str, ...]] = []
        self._claim = self.ledger.claim
        self.ledger.claim = self._noted  # type: ignore[method-assign]

    async def _noted(self, call_ids, **how):
        self.claims.append(tuple(call_ids))
        return await self._claim(call_ids, **how)

    def dispatcher(self, owner: str = "one", **pace) -> Dispatcher:
        return Dispatcher(
            self.client,
            self.ledger,
            endpoints=ENDPOINTS,
            owner=owner,
            holds=self.holds,
            pace=Pace(**pace),
            jitter=random.Random(1),
        )


@pytest.fixture
def living(virtually, client) -> Callable[[Callable[[World], Awaitable[None]]], None]:
    """Run a story in virtual time."""

    def run(story) -> None:
        async def main() -> None:
            await story(World(client))

        virtually(main())

    return run


async def turns(count: int = 20) -> None:
    """Let everything that can happen now happen."""
    for _ in range(count):
        await asyncio.sleep(0)


async def cancel(task: asyncio.Task) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_a_call_is_made_once_and_remembered(living, client, request_of):
    client.script = lambda request: reply(request)
    from_conftest = request_of(1)

    def reply(request):
        return Reply(f"reply to {request.seed}", "stop", from_usage)

    from services.contracts.case import Usage

    from_usage = Usage(prompt=3)

    async def story(world: World) -> None:
        async with world.dispatcher() as models:
            first = await models.ask([from_conftest])
            again = await models.ask([from_conftest])
            assert first == again
            assert [a.outcome.text for a in first] == ["reply to 1"]
            assert len(client.sent) == 1
            assert client.owners == {"one"}
            assert models.stats.remembered == 1
            assert models.stats.tokens["writer", "prompt"] == 3
        assert [row.ended for row in await world.ledger.claims()] == ["completed"]

    living(story)
