"""The laws of the port Books, for all three ledgers."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from services.contracts.base import CallId, CaseId, RecipeId
from services.contracts.case import Usage
from services.core.ledger.calls import Reply
from services.core.ledger.ports import Done, Elsewhere, Mine, Origin
from services.core.ledger.spending import Price
from services.core.messages import Position
from services.ledger import Ledger
from tests.laws.conftest import FakeClock

RUNNING = CallId("running")
CALL_1 = CallId("call-1")
CALL_3 = CallId("call-3")

A, B = "worker-a", "worker-b"
REPLY = Reply("It is β-lactam.\nFinal answer: B", "stop", Usage(prompt=70, completion=9, cached=64), "hm\x00 ☤")
OTHER = Reply("Final answer: C", "length", Usage(prompt=70, completion=5))
HERE, THERE = Position("question-submitted", 0, 7), Position("question-submitted", 3, 7)


@pytest.fixture
async def old_and_new(ledger: Ledger, clock) -> Ledger:
    """A ledger with an 'old' one of each kind, which ended 100 s ago, and a 'new' one, which ended just now."""
    for name, position in (("old", HERE), ("new", THERE)):
        await ledger.calls.claim([CallId(name), CallId(f"left-{name}")], owner=A, lease_s=1)
        await ledger.calls.complete({CallId(name): REPLY}, owner=A)
        for place in (position, Position(name, 1, 1)):
            await ledger.admissions.admit(
                CaseId(f"case-{name}"), named=None, current=RecipeId("recipe-1"), life=0, position=place
            )
        await ledger.attempts.open_attempt("verifier", position, owner=A)
        if name == "old":
            await ledger.calls.claim([RUNNING], owner=A, lease_s=1_000)
            clock.pass_(100)
    return ledger


async def test_pruning_drops_old_rows(old_and_new: Ledger, clock) -> None:
    """Calls, leases and attempts; it returns the number of calls."""
    assert await old_and_new.books.prune(50) == 1
    assert await old_and_new.books.prune(50) == 0
    assert [row.call_id for row in await old_and_new.books.calls()] == ["new"]
    assert sorted(row.call_id for row in await old_and_new.books.claims()) == ["left-new", "new", "running"]
    assert await old_and_new.books.admitted() == {"first": 2, "duplicate": 2}
    assert await old_and_new.attempts.open_attempt("verifier", HERE, owner=B) == 0


async def test_admissions_are_dropped_at_an_age_of_their_own(old_and_new: Ledger) -> None:
    """A known question that is submitted again is not paid for again, however old its calls are."""
    await old_and_new.books.prune(50, admissions_s=200)
    assert await admitted_again(old_and_new) == "duplicate"
    await old_and_new.books.prune(50, admissions_s=50)
    assert (await old_and_new.books.admitted())["first"] == 1
    assert await admitted_again(old_and_new) == "first"


async def admitted_again(ledger: Ledger) -> str:
    again = Position("again", 0, 0)
    admission = await ledger.admissions.admit(
        CaseId("case-old"), named=None, current=RecipeId(""), life=0, position=again
    )
    return admission.verdict


async def test_pruning_keeps_new_rows_and_live_leases(old_and_new: Ledger, clock) -> None:
    """A young call is still done, a lease that runs still runs, a young attempt and admission still stand."""
    await old_and_new.books.prune(50)
    assert await old_and_new.calls.claim([CallId("new")], owner=B, lease_s=1) == [Done(REPLY)]
    assert await old_and_new.calls.claim([RUNNING], owner=B, lease_s=1) == [Elsewhere(900)]
    assert await old_and_new.calls.claim([CallId("old"), CallId("left-old")], owner=B, lease_s=1) == [Mine(1), Mine(1)]
    assert await old_and_new.attempts.open_attempt("verifier", THERE, owner=B) == 1
    assert (
        await old_and_new.admissions.admit(CaseId("case-new"), named=None, current=RecipeId(""), life=0, position=THERE)
    ).verdict == "same"


async def test_pruning_many_rows_takes_many_transactions_and_misses_none(ledger: Ledger, clock) -> None:
    """More rows than one step takes, of which some are young."""
    for batch in range(3):
        calls = [CallId(f"call-{batch}-{n}") for n in range(700)]
        await ledger.calls.claim(calls, owner=A, lease_s=1)
        await ledger.calls.complete(dict.fromkeys(calls, OTHER), owner=A)
        clock.pass_(10)
    assert await ledger.books.prune(15) == 1_400
    assert len(await ledger.books.calls()) == len(await ledger.books.claims()) == 700


async def test_history_is_in_order_of_time(ledger: Ledger, clock) -> None:
    """Oldest first, whatever the ids."""
    for name in map(CallId, ("z", "a", "m")):
        clock.pass_(1)
        await ledger.calls.claim([name], owner=A, lease_s=60)
    for name in map(CallId, ("m", "z", "a")):
        clock.pass_(1)
        await ledger.calls.complete({name: REPLY}, owner=A)
    assert [row.call_id for row in await ledger.books.claims()] == ["z", "a", "m"]
    assert [row.call_id for row in await ledger.books.calls()] == ["m", "z", "a"]


async def test_closing_finishes_pending_requests(store) -> None:
    """What is under way when the ledger closes is in it afterwards."""
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(store.ledger())
        waiting = [asyncio.create_task(ledger.calls.complete({f"call-{n}": REPLY}, owner=A)) for n in range(20)]
        await asyncio.gather(*waiting)
    async with store.ledger() as ledger:
        assert len(await ledger.books.calls()) == 20


async def test_live_leases_are_counted_by_owner(ledger: Ledger, clock: FakeClock) -> None:
    assert await ledger.books.under_way() == {}
    await ledger.calls.claim([CALL_1, CallId("call-2")], owner="a", lease_s=10)
    await ledger.calls.claim([CALL_3], owner="b", lease_s=60)
    assert await ledger.books.under_way() == {"a": 2, "b": 1}
    await ledger.calls.release([CALL_1], owner="a")
    assert await ledger.books.under_way() == {"a": 1, "b": 1}
    clock.pass_(20)
    assert await ledger.books.under_way() == {"b": 1}
    await ledger.calls.complete({CALL_3: REPLY}, owner="b")
    assert await ledger.books.under_way() == {}


async def test_a_call_is_found_by_its_id_with_what_it_was_made_for(ledger: Ledger) -> None:
    price = Price(CaseId("case-1"), "judge", "verify", 0.0, 0.0, sends=3)
    await ledger.calls.complete({CALL_1: REPLY, CALL_3: OTHER}, owner=A, prices={CALL_1: price})
    found = await ledger.books.found([CALL_1, RUNNING, CALL_3])
    assert {call_id: row.outcome for call_id, row in found.items()} == {CALL_1: REPLY, CALL_3: OTHER}
    assert found[CALL_1].origin == Origin(CaseId("case-1"), "verify", "judge", 3)
    assert found[CALL_3].origin is None, "an older version, or no price"
    assert await ledger.books.found([]) == {}
