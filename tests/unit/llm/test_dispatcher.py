"""The dispatcher, in virtual time: each call once, none lost, whatever is cancelled, away, or going."""

import asyncio
import random
from collections import Counter

import pytest

from services.contracts.case import Usage
from services.core.errors import Draining, ModelAway, Reject, Retry
from services.core.holds import Holds
from services.core.ledger.calls import Failure, Reply
from services.ledger.memory.ledger import memory_ledger
from services.ledger.memory.server import MemoryServer
from services.llm.client import Endpoint
from services.llm.dispatcher import Dispatcher
from services.llm.pace import Pace
from services.llm.troubles import Busy, TooLarge

ENDPOINTS = {"writer": Endpoint("http://model/v1", timeout_s=100, max_calls=2), "judge": Endpoint("http://model/v1")}


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


@pytest.fixture
def living(virtually, client):
    """Run a story in virtual time."""

    def run(story) -> None:
        async def main() -> None:
            await story(World(client))

        virtually(main())

    return run


async def settled() -> None:
    """Let everything happen that can happen now."""
    for _ in range(30):
        await asyncio.sleep(0)


async def cancelled(task: asyncio.Task) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await settled()


def texts(answers) -> list[str]:
    return [answer.outcome.text for answer in answers]


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


def test_who_asks_for_a_running_call_joins_it(living, client, request_of):
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


def test_a_call_under_way_goes_on_into_the_ledger_without_its_caller(living, client, request_of):
    async def story(world: World) -> None:
        async with world.dispatcher() as models:
            await cancelled(await started(models, request_of(1)))
            assert client.cancelled == []
            client.reply("paid for")
            await settled()
            assert texts(await models.ask([request_of(1)])) == ["paid for"]
            assert len(client.sent) == 1

    living(story)


async def started(models, *requests) -> asyncio.Task:
    task = asyncio.create_task(models.ask(list(requests)))
    await settled()
    return task


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


def test_a_model_that_is_away_is_waited_for_however_long(living, client, request_of, reply_of):
    async def story(world: World) -> None:
        client.script = lambda _: ModelAway("HTTP 503")
        async with world.dispatcher() as models:
            asking = await started(models, request_of(1), request_of(2))
            await asyncio.sleep(3_600)
            assert models.status()["writer"].why == "HTTP 503"
            assert models.status()["writer"].for_s > 3_599
            assert world.holds.counts() == Counter(away=2)
            assert not world.holds.overdue()
            assert 600 <= len(client.sent) <= 1_500, "tried again within 5 s, one at a time, and no busy loop"
            client.script = reply_of
            assert texts(await asking) == ["reply to 1", "reply to 2"]
            assert models.status() == {}
        assert await world.ends() == [("one", "completed")] * 2

    living(story)


def test_a_wish_to_be_left_alone_is_obeyed(living, client, request_of):
    async def story(world: World) -> None:
        client.script = lambda _: ModelAway("HTTP 503", 40)
        async with world.dispatcher() as models:
            asking = await started(models, request_of(1))
            await asyncio.sleep(39)
            assert len(client.sent) == 1
            assert not world.holds.overdue()
            await asyncio.sleep(2)
            assert len(client.sent) == 2
            await cancelled(asking)

    living(story)


def test_too_many_calls_lower_the_limit(living, client, request_of, reply_of):
    async def story(world: World) -> None:
        async with world.dispatcher() as models:
            asking = await started(models, *(request_of(number, alias="judge") for number in range(40)))
            assert len(client.sent) == 40
            for _ in range(20):
                client.fail(Busy("HTTP 429"))
            client.script = reply_of
            for _ in range(20):
                client.reply()
            await settled()
            assert models.limits()["judge"] == 20
            assert len(client.sent) == 40
            assert len(await asking) == 40
            assert models.stats.sent["judge", "away"] == 20

    living(story)


def test_an_alias_without_an_endpoint_waits_for_one(living, client, request_of):
    async def story(world: World) -> None:
        client.script = lambda _: ModelAway("no endpoint")
        async with world.dispatcher() as models:
            asking = await started(models, request_of(1, alias="unheard-of"))
            await asyncio.sleep(100)
            assert models.status()["unheard-of"].why == "no endpoint"
            assert not world.holds.overdue()
            await cancelled(asking)

    living(story)


def test_what_may_go_well_is_tried_again_a_few_times_then_fails_for_good(living, client, request_of):
    async def story(world: World) -> None:
        client.script = lambda _: Retry("HTTP 500")
        async with world.dispatcher() as models:
            (answer,) = await models.ask([request_of(1)])
            assert answer.outcome == Failure("gave up after 4 tries: HTTP 500")
            assert len(client.sent) == 4
            assert await models.ask([request_of(1)]) == [answer]
            assert len(client.sent) == 4
            assert models.stats.calls["writer", "failure"] == 1

    living(story)


@pytest.mark.parametrize(
    ("error", "usage"),
    [(Reject("HTTP 400"), Usage()), (TooLarge("HTTP 400", Usage(completion=9)), Usage(completion=9))],
)
def test_what_is_refused_fails_at_once_with_what_it_cost(living, client, request_of, error, usage):
    async def story(world: World) -> None:
        client.script = lambda _: error
        async with world.dispatcher() as models:
            (answer,) = await models.ask([request_of(1)])
            assert answer.outcome == Failure("HTTP 400", usage)
            assert len(client.sent) == 1

    living(story)


def test_a_ledger_that_is_away_is_waited_for(living, client, request_of, reply_of):
    client.script = reply_of

    async def story(world: World) -> None:
        world.server.away = "no store"
        async with world.dispatcher() as models:
            asking = await started(models, request_of(1))
            await asyncio.sleep(600)
            assert client.sent == []
            assert world.holds.counts() == Counter(away=1)
            assert not world.holds.overdue()
            world.server.away = None
            assert texts(await asking) == ["reply to 1"]

    living(story)


def test_a_reply_in_hand_is_kept_until_it_is_written(living, client, request_of):
    async def story(world: World) -> None:
        async with world.dispatcher() as models:
            asking = await started(models, request_of(1))
            world.server.away = "no store"
            client.reply("dear")
            await asyncio.sleep(300)
            await cancelled(asking)
            await asyncio.sleep(300)
            world.server.away = None
            await asyncio.sleep(6)
            assert [row.outcome.text for row in await world.ledger.books.calls()] == ["dear"]
            assert len(client.sent) == 1

    living(story)


def test_no_call_starts_on_a_lease_that_may_be_over(living, client, request_of):
    async def story(world: World) -> None:
        async with world.dispatcher() as models:
            busy = await started(models, request_of(1), request_of(2))
            waits = await started(models, request_of(3))
            world.server.away = "no store"
            await asyncio.sleep(90)
            client.reply()
            await asyncio.sleep(1)
            assert len(client.sent) == 2, "the third has a permit, and a lease that was last renewed 90 s ago"
            world.server.away = None
            await asyncio.sleep(6)
            assert len(client.sent) == 3
            client.reply()
            client.reply()
            await asyncio.gather(busy, waits)

    living(story)


def test_no_call_starts_whose_reply_came_while_it_waited_for_a_permit(living, client, request_of):
    async def story(world: World) -> None:
        async with world.dispatcher() as models:
            busy = await started(models, request_of(1), request_of(2))
            waits = await started(models, request_of(3))
            await asyncio.sleep(1)
            late = Reply("of an owner whose lease had run out", "stop", Usage())
            await world.ledger.calls.complete({request_of(3).call_id: late}, owner="two")
            client.reply()
            client.reply()
            await busy
            assert [answer.outcome for answer in await waits] == [late]
            assert len(client.sent) == 2

    living(story)


def test_no_call_starts_that_was_drained_while_the_ledger_was_asked_once_more(living, client, request_of):
    async def story(world: World) -> None:
        async with world.dispatcher() as models:
            busy = await started(models, request_of(1), request_of(2))
            waits = await started(models, request_of(3))
            await asyncio.sleep(1)
            answers, claim = asyncio.Event(), world.ledger.calls.claim

            async def slow(*call_ids, **how):
                await answers.wait()
                return await claim(*call_ids, **how)

            world.ledger.calls.claim = slow
            client.reply()
            await settled()
            assert world.holds.counts() == Counter(calling=1, away=1)
            models.drain()
            answers.set()
            with pytest.raises(Draining):
                await waits
            client.reply()
            await busy
        assert len(client.sent) == 2

    living(story)


def test_a_short_absence_of_the_ledger_loses_no_lease(living, client, request_of):
    async def story(world: World) -> None:
        async with world.dispatcher() as models:
            asking = await started(models, request_of(1))
            await asyncio.sleep(15)
            world.server.away = "no store"
            await asyncio.sleep(30)
            world.server.away = None
            await asyncio.sleep(45)
            assert models.stats.leases_lost == 0
            assert len(await world.ledger.books.claims()) == 1
            assert (await world.ledger.books.claims())[0].until > asyncio.get_running_loop().time() + 30
            client.reply()
            await asking

    living(story)


def test_of_a_call_whose_lease_was_lost_the_first_writer_wins(living, client, request_of):
    async def story(world: World) -> None:
        async with world.dispatcher() as models:
            asking = await started(models, request_of(1))
            call_id = request_of(1).call_id
            await world.ledger.calls.release([call_id], owner="one")
            first = Reply("the other's", "stop", Usage())
            await world.ledger.calls.complete({call_id: first}, owner="two")
            await asyncio.sleep(60)
            assert models.stats.leases_lost == 1
            client.reply("ours")
            assert [answer.outcome for answer in await asking] == [first]

    living(story)


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


def test_what_stands_still_is_seen(living, client, request_of):
    async def story(world: World) -> None:
        async with world.dispatcher(drain_s=0) as models:
            asking = await started(models, request_of(1), request_of(2), request_of(3))
            await asyncio.sleep(100)
            assert not world.holds.overdue()
            await asyncio.sleep(15)
            assert {held.state for held in world.holds.overdue()} == {"calling", "permit"}
            await cancelled(asking)

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

        async def slow(request, *, owner):
            client.script = lambda asked: Reply(f"{asked.seed} by {owner}", "stop", Usage())
            await asyncio.sleep(chance.uniform(0.1, 30))
            return await send(request, owner=owner)

        client.send = slow

        async def ask_now_and_then(models: Dispatcher) -> list:
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
