"""The dispatcher while its process drains, and what is overdue."""

import asyncio
from collections import Counter

import pytest

from services.core.errors import Draining, ModelAway, Retry
from tests.unit.llm.world import World, cancelled, settled, started, texts


def test_draining_serves_what_is_there_and_starts_nothing(living, client, request_of, reply_of):
    async def story(world: World) -> None:
        async with world.dispatcher() as models:
            client.script = reply_of
            await models.ask([request_of(9)])
            client.script = None
            under_way = await started(models, request_of(1), request_of(2))
            waits = await started(models, request_of(3))
            models.drain()
            with pytest.raises(Draining):
                await waits
            joins = await started(models, request_of(1))
            assert texts(await models.ask([request_of(9)])) == ["reply to 9"]
            with pytest.raises(Draining):
                await models.ask([request_of(4)])
            client.reply()
            client.reply()
            assert texts(await under_way) == ["reply to 1", "reply to 2"]
            assert texts(await joins) == ["reply to 1"]
        assert len(client.sent) == 3
        assert Counter(await world.ends()) == Counter({("one", "completed"): 3, ("one", "released"): 2})

    living(story)


@pytest.mark.parametrize("where", ["elsewhere", "away", "backing off", "ledger away"])
def test_draining_ends_every_other_wait(living, client, request_of, where):
    async def story(world: World) -> None:
        async with world.dispatcher() as models:
            if where == "elsewhere":
                await world.ledger.calls.claim([request_of(1).call_id], owner="two", lease_s=600)
            world.server.away = "no store" if where == "ledger away" else None
            client.script = lambda _: Retry("HTTP 500") if where == "backing off" else ModelAway("HTTP 503")
            asking = await started(models, request_of(1))
            await asyncio.sleep(0.1)
            models.drain()
            await settled()
            assert asking.done()
            assert isinstance(asking.exception(), Draining)
            world.server.away = None
            assert ("one", "open") not in await world.ends()

    living(story)


def test_leaving_waits_for_calls_under_way_then_cancels_them_and_gives_back_their_leases(living, client, request_of):
    async def story(world: World) -> None:
        now = asyncio.get_running_loop().time
        async with world.dispatcher(drain_s=25) as models:
            asking = await started(models, request_of(1), request_of(2))
            begun = now()
            asyncio.get_running_loop().call_later(5, client.reply, "in time")
        assert 25 <= now() - begun < 26
        assert client.cancelled == [request_of(2).call_id]
        with pytest.raises(Draining):
            await asking
        assert await world.ends() == [("one", "completed"), ("one", "released")]
        assert len(asyncio.all_tasks()) == 1

    living(story)


def test_a_stalled_call_is_overdue(living, client, request_of):
    async def story(world: World) -> None:
        async with world.dispatcher(drain_s=0) as models:
            asking = await started(models, request_of(1), request_of(2), request_of(3))
            await asyncio.sleep(100)
            assert not world.holds.overdue()
            await asyncio.sleep(15)
            assert {held.state for held in world.holds.overdue()} == {"calling", "permit"}
            await cancelled(asking)

    living(story)
