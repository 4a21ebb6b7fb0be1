"""Whose trouble a failed call is, in virtual time: what the other calls of its server did since decides."""

import asyncio
from collections import Counter

import pytest

from services.contracts.case import Usage
from services.core.errors import ModelAway, Reject, Retry
from services.core.ledger.calls import Failure, Reply
from services.llm.troubles import Busy, Refuses, TimedOut, TooLarge
from tests.unit.llm.world import World, cancelled, started, texts

EVERY_KIND = [
    ModelAway("no connection"),
    Busy("HTTP 503"),
    Refuses("HTTP 401", "key"),
    Retry("HTTP 502"),
    TimedOut("HTTP 504"),
    Reject("HTTP 400"),
]


@pytest.mark.parametrize("trouble", EVERY_KIND, ids=str)
def test_where_all_calls_fail_they_are_held_however_long_and_probed(living, client, request_of, reply_of, trouble):
    async def story(world: World) -> None:
        client.script = lambda _: trouble
        async with world.dispatcher() as models:
            asking = await started(models, request_of(1), request_of(2))
            await asyncio.sleep(3_600)
            assert models.status()["writer"].why == str(trouble)
            assert models.status()["writer"].for_s > 3_599
            assert world.holds.counts() == Counter(away=2)
            assert not world.holds.overdue()
            assert len(client.sent) <= 6
            assert 600 <= len(client.probed) <= 1_500, "within 5 s each, one at a time"
            client.script = reply_of
            assert texts(await asking) == ["reply to 1", "reply to 2"]
            assert models.status() == {}
            assert models.limits()["writer"] == 2
        assert await world.ends() == [("one", "completed")] * 2

    living(story)


def test_a_probe_is_a_call_of_one_token_and_not_the_ledgers(living, client, request_of, reply_of):
    async def story(world: World) -> None:
        client.script = lambda _: Retry("HTTP 500")
        async with world.dispatcher() as models:
            asking = await started(models, request_of(1, schema={"type": "object"}))
            await asyncio.sleep(5)
            client.script = reply_of
            await asking
            assert {probe.sampling.max_tokens for probe in client.probed} == {1}
            assert client.probed[0].schema == {"type": "object"}
            assert models.stats.probes["writer"] == len(client.probed)
            assert len(await world.ledger.books.calls()) == 1

    living(story)


@pytest.mark.parametrize(
    ("trouble", "sends", "reason"),
    [
        (Retry("HTTP 500"), 4, "gave up after 4 tries: HTTP 500"),
        (TimedOut("no whole reply within 600 s"), 4, "gave up after 4 tries: no whole reply within 600 s"),
        (Reject("HTTP 403: a content filter"), 2, "gave up after 2 tries: HTTP 403: a content filter"),
    ],
    ids=str,
)
def test_where_others_work_the_trouble_is_the_calls_own(living, client, request_of, reply_of, trouble, sends, reason):
    async def story(world: World) -> None:
        client.script = lambda asked: trouble if asked.seed == 1 else reply_of(asked)
        async with world.dispatcher() as models:
            asking = await started(models, request_of(1))
            for number in range(2, 400):
                await models.ask([request_of(number)])
                await asyncio.sleep(0.1)
            (answer,) = await asking
            assert answer.outcome == Failure(reason)
            assert sum(request.seed == 1 for request in client.sent) == sends
            assert client.probed == [], "a server that works is not doubted"
            assert models.status() == {}
            assert models.stats.calls["writer", "failure"] == 1
            assert await models.ask([request_of(1)]) == [answer]

    living(story)


@pytest.mark.parametrize("trouble", [Retry("HTTP 500"), Reject("HTTP 403")], ids=str)
def test_a_lone_call_is_judged_by_a_probe(living, client, request_of, reply_of, trouble):
    async def story(world: World) -> None:
        client.script = lambda _: trouble
        client.probe = reply_of
        async with world.dispatcher() as models:
            (answer,) = await models.ask([request_of(1)])
            assert isinstance(answer.outcome, Failure)
            assert str(trouble) in answer.outcome.reason
            assert len(client.probed) <= len(client.sent)

    living(story)


@pytest.mark.parametrize(
    "trouble", [Refuses("HTTP 401", "key"), ModelAway("no connection"), Busy("HTTP 429", 1.0)], ids=str
)
def test_outages_and_operator_errors_are_never_final(living, client, request_of, reply_of, trouble):
    async def story(world: World) -> None:
        client.script = lambda asked: trouble if asked.seed == 1 else reply_of(asked)
        client.probe = reply_of
        async with world.dispatcher() as models:
            asking = await started(models, request_of(1))
            for number in range(2, 1_000):
                await models.ask([request_of(number)])
                await asyncio.sleep(1)
            assert not asking.done()
            assert sum(request.seed == 1 for request in client.sent) < 2_500, "no busy loop"
            await cancelled(asking)

    living(story)


def test_a_schema_that_is_always_refused_is_configuration_though_plain_texts_work(living, client, request_of, reply_of):
    async def story(world: World) -> None:
        client.script = lambda asked: Reject("HTTP 400") if asked.schema else reply_of(asked)
        async with world.dispatcher() as models:
            asking = await started(models, request_of(1, stage="verify", schema={"type": "object"}))
            for number in range(2, 20):
                await started(models, request_of(number, stage="score"))
                await asyncio.sleep(10)
            assert not asking.done()
            assert models.status()["writer"].reason == "refused"
            await cancelled(asking)

    living(story)


def test_an_outage_counts_against_no_call(living, client, request_of, reply_of):
    """Calls that were in flight when a server went, three times over, with others that work between."""

    async def story(world: World) -> None:
        down = False

        def server(asked):
            return Retry("HTTP 502") if down else reply_of(asked)

        client.script = server
        async with world.dispatcher() as models:
            down = True
            asking = await started(models, request_of(1))
            for outage in range(8):
                await asyncio.sleep(72)
                down = False
                await started(models, request_of(10 + outage))
                down = True
            assert not asking.done() or isinstance(asking.result()[0].outcome, Reply)
            down = False
            assert texts(await asking) == ["reply to 1"]

    living(story)


def test_a_reply_beyond_its_bound_is_final_with_what_it_cost(living, client, request_of):
    async def story(world: World) -> None:
        client.script = lambda _: TooLarge("reply too large", Usage(completion=9))
        async with world.dispatcher() as models:
            (answer,) = await models.ask([request_of(1)])
            assert answer.outcome == Failure("reply too large", Usage(completion=9))
            assert len(client.sent) == 1

    living(story)


def test_a_wish_to_be_left_alone_is_granted(living, client, request_of):
    async def story(world: World) -> None:
        client.script = lambda _: Busy("HTTP 429", 40)
        async with world.dispatcher() as models:
            asking = await started(models, request_of(1))
            await asyncio.sleep(39)
            assert len(client.sent) + len(client.probed) == 1
            assert not world.holds.overdue()
            await asyncio.sleep(2)
            assert len(client.sent) + len(client.probed) == 2
            await cancelled(asking)

    living(story)


def test_too_many_calls_lower_the_limit_to_what_the_server_took(living, client, request_of, reply_of):
    async def story(world: World) -> None:
        async with world.dispatcher() as models:
            asking = await started(models, *(request_of(number, alias="judge") for number in range(40)))
            assert len(client.sent) == 40
            for _ in range(20):
                client.fail(Busy("HTTP 503"))
            assert models.limits()["judge"] == 64
            await asyncio.sleep(0.001)
            assert models.limits()["judge"] == 20
            assert len(client.sent) == 40, "the next waits until one has ended"
            client.script = reply_of
            for _ in range(20):
                client.reply()
            assert len(await asking) == 40
            assert models.stats.sent["judge", "away"] == 20
            assert client.probed == []

    living(story)


def test_an_alias_without_an_endpoint_waits_for_one(living, client, request_of):
    async def story(world: World) -> None:
        async with world.dispatcher() as models:
            asking = await started(models, request_of(1, alias="unheard-of"))
            await asyncio.sleep(100)
            assert "no endpoint is set for the alias unheard-of" in models.status()["unheard-of"].why
            assert client.sent == client.probed == []
            assert not world.holds.overdue()
            await cancelled(asking)

    living(story)


def test_a_corrected_recipe_meets_a_gate_of_its_own(living, client, request_of, reply_of):
    async def story(world: World) -> None:
        def server(asked):
            return Refuses("HTTP 404", "model") if asked.model.served == "wrong" else reply_of(asked)

        client.script = server
        async with world.dispatcher() as models:
            right = request_of(1)
            wrong = await started(models, request_of(2, model=right.model.model_copy(update={"served": "wrong"})))
            await asyncio.sleep(60)
            assert models.status()["writer"].reason == "model"
            before = asyncio.get_running_loop().time()
            assert texts(await models.ask([right])) == ["reply to 1"]
            assert asyncio.get_running_loop().time() == before
            await cancelled(wrong)

    living(story)


def test_each_attempt_has_an_id_of_its_own(living, client, request_of, reply_of):
    async def story(world: World) -> None:
        client.script = lambda _: Retry("HTTP 500")
        client.probe = reply_of
        async with world.dispatcher() as models:
            await models.ask([request_of(1)])
            assert len(set(client.attempts)) == len(client.attempts) == 4
            assert {attempt.split(".")[0] for attempt in client.attempts} == {request_of(1).call_id}

    living(story)


def test_a_change_of_state_is_logged_once(living, client, request_of, reply_of, capsys):
    async def story(world: World) -> None:
        client.script = lambda _: Refuses("HTTP 401: the key is refused", "key")
        async with world.dispatcher() as models:
            asking = await started(models, request_of(1), request_of(2))
            await asyncio.sleep(600)
            client.script = reply_of
            await asking

    living(story)
    log = capsys.readouterr().out
    assert log.count("model takes no calls") == 1
    assert log.count("model takes calls again") == 1
