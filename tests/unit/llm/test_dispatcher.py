"""The dispatcher, in virtual time: each call once, none lost, whatever is cancelled."""

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from services.contracts.case import Usage
from services.core.ledger.calls import Reply
from services.llm.dispatcher import Dispatcher
from tests.unit.llm.world import World, cancelled, settled, started, texts


def test_a_call_is_made_once_and_remembered(living, client, request_of, reply_of):
    client.script = reply_of

    async def story(world: World) -> None:
        async with world.dispatcher() as models:
            first = await models.ask([request_of(1)])
            assert await models.ask([request_of(1)]) == first
            assert texts(first) == ["reply to 1"]
            assert len(client.sent) == 1
            assert client.owners == {"one"}
            assert models.stats.remembered == 1
            (found,) = await world.ledger.budgets.remembered()
            assert (found.alias, found.stage, found.calls, found.usage.completion) == ("writer", "generate", 1, 5)
            assert models.stats.tokens["writer", "completion"] == 5
            assert await models.ask([]) == []
        assert await world.ends() == [("one", "completed")]

    living(story)


def test_the_claims_of_a_message_are_one_transaction_and_equal_calls_one_call(living, client, request_of, reply_of):
    client.script = reply_of

    async def story(world: World) -> None:
        async with world.dispatcher() as models:
            requests = [request_of(number) for number in (1, 2, 1, 3)]
            assert texts(await models.ask(requests)) == ["reply to 1", "reply to 2", "reply to 1", "reply to 3"]
            assert [len(claim) for claim in world.claims] == [3]
            assert len(client.sent) == 3

    living(story)


def test_callers_join_a_call_in_flight(living, client, request_of):
    async def story(world: World) -> None:
        async with world.dispatcher() as models:
            one = asyncio.create_task(models.ask([request_of(1)]))
            await settled()
            two = asyncio.create_task(models.ask([request_of(1)]))
            await cancelled(one)
            client.reply("shared")
            assert texts(await two) == ["shared"]
            assert len(client.sent) == len(world.claims) == 1
            assert models.stats.joined == 1

    living(story)


def test_no_more_calls_are_under_way_than_permits_and_the_first_come_is_the_first_served(living, client, request_of):
    async def story(world: World) -> None:
        async with world.dispatcher() as models:
            asking = [asyncio.create_task(models.ask([request_of(number)])) for number in range(4)]
            await settled()
            assert [request.seed for request in client.sent] == [0, 1]
            assert world.holds.counts() == Counter(calling=2, permit=2)
            assert models.stats.under_way["writer"] == 2
            client.reply()
            await settled()
            assert [request.seed for request in client.sent] == [0, 1, 2]
            for _ in range(3):
                client.reply()
                await settled()
            assert [texts(await task) for task in asking] == [[f"reply to {number}"] for number in range(4)]

    living(story)


def test_an_alias_that_is_full_does_not_idle_another(living, client, request_of, reply_of):
    async def story(world: World) -> None:
        async with world.dispatcher() as models:
            full = asyncio.create_task(models.ask([request_of(number) for number in range(3)]))
            await settled()
            client.script = reply_of
            assert texts(await models.ask([request_of(9, alias="judge")])) == ["reply to 9"]
            await cancelled(full)
            client.reply()
            client.reply()

    living(story)


def test_a_call_in_flight_completes_into_the_ledger_without_its_caller(living, client, request_of):
    async def story(world: World) -> None:
        async with world.dispatcher() as models:
            await cancelled(await started(models, request_of(1)))
            assert client.cancelled == []
            client.reply("paid for")
            await settled()
            assert texts(await models.ask([request_of(1)])) == ["paid for"]
            assert len(client.sent) == 1

    living(story)


def test_a_call_that_waits_for_a_permit_is_given_up_with_its_last_caller(living, client, request_of):
    async def story(world: World) -> None:
        async with world.dispatcher() as models:
            busy = await started(models, request_of(1), request_of(2))
            one, two = await started(models, request_of(3)), await started(models, request_of(3))
            await cancelled(one)
            assert (await world.ends()).count(("one", "open")) == 3
            await cancelled(two)
            assert (await world.ends()).count(("one", "released")) == 1
            client.reply()
            client.reply()
            await busy
            assert len(client.sent) == 2

    living(story)


def test_a_call_whose_last_caller_leaves_while_it_is_claimed_is_not_made(living, client, request_of):
    async def story(world: World) -> None:
        claim = world.ledger.calls.claim

        async def slow(*args, **how):
            claims = await claim(*args, **how)
            await asyncio.sleep(1)
            return claims

        world.ledger.calls.claim = slow
        async with world.dispatcher() as models:
            await cancelled(await started(models, request_of(1)))
            await asyncio.sleep(2)
            assert client.sent == []
            assert await world.ends() == [("one", "released")]

    living(story)


@pytest.mark.parametrize("turns", range(8))
def test_a_permit_that_comes_to_a_call_that_is_given_up_is_not_lost(living, client, request_of, turns):
    async def story(world: World) -> None:
        async with world.dispatcher() as models:
            busy = await started(models, request_of(1), request_of(2))
            waits = await started(models, request_of(3))
            client.reply()
            for _ in range(turns):
                await asyncio.sleep(0)
            await cancelled(waits)
            client.reply()
            await busy
            before = len(client.sent)
            if before == 3:  # it was sent before it could be given up
                client.reply()
                await settled()
            both = await started(models, request_of(4), request_of(5))
            assert len(client.sent) == before + 2
            client.reply()
            client.reply()
            await both

    living(story)


def test_a_call_asked_for_while_it_is_given_up_is_made(living, client, request_of, reply_of):
    async def story(world: World) -> None:
        async with world.dispatcher() as models:
            busy = await started(models, request_of(1), request_of(2))
            waits = await started(models, request_of(3))
            waits.cancel()
            await asyncio.sleep(0)
            again = asyncio.create_task(models.ask([request_of(3)]))
            await settled()
            client.reply()
            client.reply()
            await settled()
            client.reply("made")
            await busy
            assert texts(await again) == ["made"]
            assert len(client.sent) == 3

    living(story)


def test_a_call_that_runs_elsewhere_is_waited_for_without_a_permit(living, client, request_of):
    async def story(world: World) -> None:
        async with world.dispatcher("one") as one, world.dispatcher("two") as two:
            makes = await started(one, request_of(1))
            waits = await started(two, request_of(1), request_of(1))
            await asyncio.sleep(200)  # far beyond the lease, which its owner renews
            assert world.holds.counts() == Counter(calling=1, lease=1)
            assert two.stats.under_way["writer"] == 0
            client.reply("one's")
            assert texts(await waits) == ["one's", "one's"]
            assert await makes
            assert len(client.sent) == 1
            assert two.stats.remembered == 1

    living(story)


def test_all_who_wait_for_other_owners_look_together(living, client, request_of):
    async def story(world: World) -> None:
        requests = [request_of(number) for number in range(20)]
        await world.ledger.calls.claim([request.call_id for request in requests], owner="dead", lease_s=30)
        world.claims.clear()
        async with world.dispatcher() as models:
            tasks = []
            for request in requests:
                tasks.append(asyncio.create_task(models.ask([request])))
                await asyncio.sleep(0.07)
            world.claims.clear()
            await asyncio.sleep(10)
            assert len(world.claims) <= 21
            assert {len(claim) for claim in world.claims} == {20}
            await asyncio.gather(*(cancelled(task) for task in tasks))

    living(story)


def test_a_dead_owners_call_is_taken_over_when_its_lease_is_over(living, client, request_of, reply_of):
    client.script = reply_of

    async def story(world: World) -> None:
        await world.ledger.calls.claim([request_of(1).call_id], owner="dead", lease_s=30)
        now = asyncio.get_running_loop().time
        begun = now()
        async with world.dispatcher() as models:
            assert texts(await models.ask([request_of(1)])) == ["reply to 1"]
        assert 30 <= now() - begun < 31
        assert not world.holds.overdue()

    living(story)


def test_a_defect_reaches_who_asked_and_frees_lease_and_permit(living, client, request_of, reply_of):
    async def story(world: World) -> None:
        client.script = lambda _: ZeroDivisionError("a defect")
        async with world.dispatcher() as models:
            with pytest.raises(ZeroDivisionError):
                await models.ask([request_of(1)])
            client.script = reply_of
            assert texts(await models.ask([request_of(1), request_of(2), request_of(3)]))
        assert Counter(await world.ends()) == Counter({("one", "released"): 1, ("one", "completed"): 3})

    living(story)


@pytest.mark.parametrize("seed", range(12))
def test_two_processes_under_cancellations_make_each_call_once(living, client, request_of, seed):
    """Random asks of few calls by two processes, random cancellations, slow replies, a ledger away now and then."""

    async def story(world: World) -> None:
        chance = random.Random(seed)
        send = client.send

        async def slow(request, *, owner, **how):
            client.script = lambda asked: Reply(f"{asked.seed} by {owner}", "stop", Usage())
            await asyncio.sleep(chance.uniform(0.1, 30))
            return await send(request, owner=owner, **how)

        client.send = slow

        async def ask_now_and_then(models: Dispatcher) -> list[Any]:
            await asyncio.sleep(chance.uniform(0, 60))
            asking = asyncio.create_task(models.ask([request_of(n) for n in chance.sample(range(12), 4)]))
            await asyncio.wait((asking,), timeout=chance.choice([0, 1, 10, 1_000]))
            if not asking.done():
                await cancelled(asking)
                return []
            return asking.result()

        async def break_ledger() -> None:
            for _ in range(4):
                await asyncio.sleep(chance.uniform(5, 40))
                world.server.away = "no store"
                await asyncio.sleep(chance.uniform(0, 15))
                world.server.away = None

        async with world.dispatcher("one", drain_s=200) as one, world.dispatcher("two", drain_s=200) as two:
            answers = await asyncio.gather(
                *(ask_now_and_then(chance.choice([one, two])) for _ in range(40)), break_ledger()
            )
        said = {(a.request.seed, a.outcome.text) for group in answers if group for a in group}
        assert len({number for number, _ in said}) == len(said), "everyone publishes the same reply"
        assert all(count == 1 for count in Counter(request.call_id for request in client.sent).values())
        assert not world.holds.counts()
        assert ("one", "open") not in await world.ends()
        assert ("two", "open") not in await world.ends()

    living(story)
