"""The dispatcher beside a ledger that is away, slow or failing: no paid reply is lost, no lease overrun."""

import asyncio
from collections import Counter

import pytest

from services.contracts.case import Usage
from services.core.errors import Draining
from services.core.ledger.calls import Reply
from tests.unit.llm.conftest import reply_to
from tests.unit.llm.world import World, cancelled, settled, started, texts


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
            assert [row.outcome for row in await world.ledger.books.calls()] == [reply_to(request_of(1), "dear")]
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


def test_no_error_of_the_ledger_loses_a_reply(living, client, request_of):
    async def story(world: World) -> None:
        complete = world.ledger.calls.complete

        async def broken(*args, **how):
            raise ZeroDivisionError("a defect of the store")

        world.ledger.calls.complete = broken
        async with world.dispatcher() as models:
            asking = await started(models, request_of(1))
            client.reply("dear")
            await asyncio.sleep(600)
            assert not asking.done()
            world.ledger.calls.complete = complete
            assert texts(await asking) == ["dear"]
            assert len(client.sent) == 1
            assert models.stats.replies_lost == 0

    living(story)


def test_a_count_that_fails_loses_no_outcome(living, client, request_of):
    async def story(world: World) -> None:
        async def broken(found):
            raise ZeroDivisionError("a defect of the store")

        world.ledger.calls.remember = broken
        async with world.dispatcher() as models:
            asking = await started(models, request_of(1))
            client.reply("dear")
            assert texts(await asking) == ["dear"]
            assert texts(await models.ask([request_of(1)])) == ["dear"]
            assert len(client.sent) == 1

    living(story)


def test_outcomes_not_written_before_the_drain_deadline_are_logged_and_counted(living, client, request_of, capsys):
    async def story(world: World) -> None:
        now = asyncio.get_running_loop().time
        async with world.dispatcher(drain_s=20) as models:
            asking = await started(models, request_of(1))
            world.server.away = "no store"
            client.reply("dear")
            await settled()
            begun = now()
        assert now() - begun < 21
        assert models.stats.replies_lost == 1
        with pytest.raises(Draining):
            await asking

    living(story)
    assert "a paid reply could not be written" in capsys.readouterr().out


def test_a_lost_lease_is_taken_again_while_its_call_runs(living, client, request_of):
    async def story(world: World) -> None:
        async with world.dispatcher("one") as one, world.dispatcher("two") as two:
            asking = await started(one, request_of(1))
            await world.ledger.calls.release([request_of(1).call_id], owner="one")
            await asyncio.sleep(25)
            assert one.stats.leases_lost == 1
            other = await started(two, request_of(1))
            await asyncio.sleep(120)
            assert len(client.sent) == 1, "the other waits for the lease that was taken again"
            client.reply("ours")
            assert texts(await asking) == texts(await other) == ["ours"]

    living(story)


def test_a_lease_that_another_took_is_claimed_again_once_it_is_free(living, client, request_of):
    async def story(world: World) -> None:
        async with world.dispatcher() as models:
            asking = await started(models, request_of(1))
            call_id = request_of(1).call_id
            await world.ledger.calls.release([call_id], owner="one")
            await world.ledger.calls.claim([call_id], owner="dead", lease_s=50)
            await asyncio.sleep(100)
            (claim,) = await world.ledger.calls.claim([call_id], owner="two", lease_s=60)
            assert type(claim).__name__ == "Elsewhere"
            client.reply()
            await asking
        assert ("one", "completed") in await world.ends()

    living(story)
