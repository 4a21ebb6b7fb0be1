"""The laws of the port Calls, for all three ledgers."""

import asyncio

import pytest

from services.contracts.base import CallId
from services.contracts.case import Usage
from services.core.ledger.calls import Failure, Outcome, Reply
from services.core.ledger.ports import ClaimRow, Done, Elsewhere, Mine
from services.core.messages import Position
from services.ledger import Ledger
from services.ledger.memory.calls import MemoryCalls

CALL_1 = CallId("call-1")
CALL_2 = CallId("call-2")
CALL_3 = CallId("call-3")
LIVE = CallId("live")
ENDED = CallId("ended")
OUT = CallId("out")

A, B = "worker-a", "worker-b"
REPLY = Reply("It is β-lactam.\nFinal answer: B", "stop", Usage(prompt=70, completion=9, cached=64), "hm\x00 ☤")
OTHER = Reply("Final answer: C", "length", Usage(prompt=70, completion=5))
HERE, THERE = Position("question-submitted", 0, 7), Position("question-submitted", 3, 7)


def by_call(rows: list[ClaimRow], call_id: str) -> list[ClaimRow]:
    return [row for row in rows if row.call_id == call_id]


async def test_a_call_is_leased_to_one_owner(ledger: Ledger) -> None:
    """The first to claim gets the lease; another learns how long it still lasts."""
    assert await ledger.calls.claim([CALL_1], owner=A, lease_s=30) == [Mine(30)]
    assert await ledger.calls.claim([CALL_1], owner=B, lease_s=30) == [Elsewhere(30)]


async def test_a_claim_of_many_answers_each_in_order(ledger: Ledger) -> None:
    """Finished, free and taken calls in one claim are answered in its order, one named twice as well."""
    await ledger.calls.complete({CALL_1: REPLY}, owner=A)
    await ledger.calls.claim([CALL_2], owner=A, lease_s=30)
    claims = await ledger.calls.claim([CALL_3, CALL_2, CALL_1, CALL_3], owner=B, lease_s=20)
    assert claims == [Mine(20), Elsewhere(30), Done(REPLY), Mine(20)]
    assert len(by_call(await ledger.books.claims(), "call-3")) == 1


async def test_empty_requests_are_allowed(ledger: Ledger) -> None:
    """Empty claims, renewals, releases and completions are allowed."""
    assert await ledger.calls.claim([], owner=A, lease_s=1) == []
    assert await ledger.calls.renew([], owner=A, lease_s=1) == []
    assert await ledger.calls.complete({}, owner=A) == []
    await ledger.calls.release([], owner=A)
    assert await ledger.books.claims() == []


async def test_a_second_claim_of_the_owner_renews(ledger: Ledger, clock) -> None:
    """It extends the one lease, and never shortens it."""
    await ledger.calls.claim([CALL_1], owner=A, lease_s=30)
    clock.pass_(20)
    assert await ledger.calls.claim([CALL_1], owner=A, lease_s=30) == [Mine(30)]
    assert await ledger.calls.claim([CALL_1], owner=A, lease_s=1) == [Mine(1)]
    assert await ledger.books.claims() == [ClaimRow(CALL_1, A, clock.now - 20, clock.now + 30, "open")]


async def test_a_renewal_extends_only_the_owner_s_live_leases(ledger: Ledger, clock) -> None:
    """False for a lease of another owner, an expired or ended one, and a call that was never claimed."""
    await ledger.calls.claim([LIVE, ENDED, OUT], owner=A, lease_s=10)
    await ledger.calls.claim([CallId("others")], owner=B, lease_s=99)
    await ledger.calls.release([ENDED], owner=A)
    clock.pass_(5)
    assert await ledger.calls.renew([LIVE], owner=A, lease_s=10) == [True]
    clock.pass_(5)
    asked = [LIVE, ENDED, OUT, CallId("others"), CallId("never")]
    assert await ledger.calls.renew(asked, owner=A, lease_s=10) == [True, False, False, False, False]
    assert by_call(await ledger.books.claims(), "live")[0].until == clock.now + 10


async def test_an_expired_lease_can_be_taken_over(ledger: Ledger, clock) -> None:
    """From the moment it expires. The old row keeps that moment and stays open."""
    start = clock.now
    await ledger.calls.claim([CALL_1], owner=A, lease_s=10)
    clock.pass_(9.75)
    assert await ledger.calls.claim([CALL_1], owner=B, lease_s=10) == [Elsewhere(0.25)]
    clock.pass_(0.25)
    assert await ledger.calls.claim([CALL_1], owner=B, lease_s=10) == [Mine(10)]
    assert await ledger.calls.claim([CALL_1], owner=A, lease_s=10) == [Elsewhere(10)]
    assert await ledger.books.claims() == [
        ClaimRow(CALL_1, A, start, start + 10, "open"),
        ClaimRow(CALL_1, B, start + 10, start + 20, "open"),
    ]


async def test_an_owner_that_returns_after_expiry_gets_a_new_lease(ledger: Ledger, clock) -> None:
    """The history shows the time in which nobody held the call."""
    start = clock.now
    await ledger.calls.claim([CALL_1], owner=A, lease_s=10)
    clock.pass_(15)
    assert await ledger.calls.claim([CALL_1], owner=A, lease_s=10) == [Mine(10)]
    assert [(row.since - start, row.until - start) for row in await ledger.books.claims()] == [(0, 10), (15, 25)]


async def test_a_released_call_is_free_at_once(ledger: Ledger, clock) -> None:
    """Its row ends then, as 'released'. Leases of other owners and expired ones stay as they are."""
    start = clock.now
    await ledger.calls.claim([CALL_1, OUT], owner=A, lease_s=10)
    await ledger.calls.renew([CALL_1], owner=A, lease_s=60)
    clock.pass_(12)
    await ledger.calls.release([CALL_1], owner=B)
    assert await ledger.calls.claim([CALL_1], owner=B, lease_s=10) == [Elsewhere(48)]
    await ledger.calls.release([CALL_1, OUT, CallId("never")], owner=A)
    await ledger.calls.release([CALL_1], owner=A)
    assert await ledger.calls.claim([CALL_1], owner=B, lease_s=10) == [Mine(10)]
    rows = await ledger.books.claims()
    assert by_call(rows, "out") == [ClaimRow(OUT, A, start, start + 10, "open")]
    assert by_call(rows, "call-1")[0] == ClaimRow(CALL_1, A, start, start + 12, "released")


# --- outcomes


@pytest.mark.parametrize("outcome", [REPLY, OTHER, Failure("400: context too long", Usage(prompt=3)), Failure("")])
async def test_every_reader_gets_the_written_outcome(ledger: Ledger, clock, outcome: Outcome) -> None:
    """The writer, later claimants and the history get the same value; the lease ends as 'completed'."""
    await ledger.calls.claim([CALL_1], owner=A, lease_s=30)
    clock.pass_(4)
    assert await ledger.calls.complete({CALL_1: outcome}, owner=A) == [outcome]
    assert await ledger.calls.claim([CALL_1], owner=B, lease_s=30) == [Done(outcome)]
    [row] = await ledger.books.calls()
    assert (row.call_id, row.owner, row.at, row.outcome) == ("call-1", A, clock.now, outcome)
    assert await ledger.books.claims() == [ClaimRow(CALL_1, A, clock.now - 4, clock.now, "completed")]
    assert await ledger.calls.renew([CALL_1], owner=A, lease_s=30) == [False]


async def test_a_usage_keeps_fields_of_a_newer_version(ledger: Ledger) -> None:
    """Usage comes from the ledger, in a mixed fleet too."""
    reply = Reply("text", "stop", Usage.model_validate({"prompt": 1, "audio": 5}))
    await ledger.calls.complete({CALL_1: reply}, owner=A)
    assert await ledger.calls.claim([CALL_1], owner=B, lease_s=30) == [Done(reply)]


async def test_the_first_writer_wins(ledger: Ledger, clock) -> None:
    """A later outcome is dropped, and its writer gets the first. Each call of one completion is decided alone."""
    await ledger.calls.complete({CALL_1: REPLY}, owner=A)
    clock.pass_(1)
    outcomes: dict[CallId, Outcome] = {CALL_2: OTHER, CALL_1: Failure("late"), CALL_3: REPLY}
    assert await ledger.calls.complete(outcomes, owner=B) == [OTHER, REPLY, REPLY]
    assert [row.owner for row in await ledger.books.calls()] == [A, B, B]


async def test_an_owner_without_the_lease_can_complete_a_paid_call(ledger: Ledger, clock) -> None:
    """The current holder's lease ends as 'released', and its own outcome comes second."""
    start = clock.now
    await ledger.calls.claim([CALL_1], owner=A, lease_s=10)
    clock.pass_(11)
    await ledger.calls.claim([CALL_1], owner=B, lease_s=10)
    clock.pass_(1)
    assert await ledger.calls.complete({CALL_1: REPLY}, owner=A) == [REPLY]
    assert await ledger.calls.renew([CALL_1], owner=B, lease_s=10) == [False]
    assert await ledger.calls.complete({CALL_1: OTHER}, owner=B) == [REPLY]
    assert await ledger.books.claims() == [
        ClaimRow(CALL_1, A, start, start + 10, "open"),
        ClaimRow(CALL_1, B, start + 11, start + 12, "released"),
    ]


async def test_a_late_outcome_does_not_extend_the_lease(ledger: Ledger, clock) -> None:
    """The lease is 'completed' and keeps its expiry; the call's row has the time of the outcome."""
    start = clock.now
    await ledger.calls.claim([CALL_1], owner=A, lease_s=10)
    clock.pass_(25)
    await ledger.calls.complete({CALL_1: REPLY}, owner=A)
    assert await ledger.books.claims() == [ClaimRow(CALL_1, A, start, start + 10, "completed")]
    assert [row.at for row in await ledger.books.calls()] == [start + 25]


# --- concurrency, and the store's own clock


async def test_of_concurrent_claims_one_gets_the_lease(store) -> None:
    """Two processes' ledgers, 40 claims of the same calls: one owner has each call, and it is the same for all."""
    calls = [f"call-{number}" for number in range(9)]
    async with store.ledger() as one, store.ledger() as two:
        asked = [(one if n % 2 else two).calls.claim(calls, owner=f"worker-{n}", lease_s=60) for n in range(40)]
        answers = await asyncio.gather(*asked)
        for call in range(len(calls)):
            assert sum(isinstance(answer[call], Mine) for answer in answers) == 1
        assert len(await one.books.claims()) == len(calls)


async def test_processes_share_one_ledger(store) -> None:
    """One process sees what another wrote, also after both closed the ledger."""
    async with store.ledger() as one, store.ledger() as two:
        await one.calls.claim(["call-1"], owner=A, lease_s=60)
        [claim] = await two.calls.claim(["call-1"], owner=B, lease_s=60)
        assert isinstance(claim, Elsewhere)
        assert 0 < claim.remaining_s <= 60
        await one.calls.complete({"call-1": REPLY}, owner=A)
        assert await two.calls.claim(["call-1"], owner=B, lease_s=60) == [Done(REPLY)]
    async with store.ledger() as three:
        assert [row.outcome for row in await three.books.calls()] == [REPLY]


async def test_a_lease_expires_by_the_store_s_own_clock(store) -> None:
    """No process has to end it: a claim after the remaining time gets the call."""
    async with store.ledger() as ledger:
        await ledger.calls.claim(["call-1"], owner=A, lease_s=0.2)
        while isinstance(claim := (await ledger.calls.claim(["call-1"], owner=B, lease_s=5))[0], Elsewhere):  # noqa: ASYNC110
            await asyncio.sleep(claim.remaining_s)
        old, new = await ledger.books.claims()
        assert claim == Mine(5)
        assert old.until - old.since == pytest.approx(0.2, abs=1e-4)
        assert new.since >= old.until


async def test_a_cancelled_caller_does_not_affect_others(store) -> None:
    """Callers may be cancelled at any moment: the others get right answers, and the ledger stays usable."""
    async with store.ledger() as ledger:
        await ledger.calls.complete({f"call-{n}": Failure(f"outcome {n}") for n in range(200)}, owner=A)
        tasks = [asyncio.create_task(ledger.calls.claim([f"call-{n}"], owner=B, lease_s=5)) for n in range(200)]
        for n in range(0, 200, 3):
            await asyncio.sleep(0)
            tasks[n].cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        for n, answer in enumerate(answers):
            assert isinstance(answer, asyncio.CancelledError) or answer == [Done(Failure(f"outcome {n}"))]
        assert not any(isinstance(answers[n], asyncio.CancelledError) for n in range(200) if n % 3)
        assert await ledger.calls.claim(["call-7"], owner=B, lease_s=5) == [Done(Failure("outcome 7"))]


async def test_a_text_that_cannot_be_encoded_is_a_type_error(store) -> None:
    """Never LedgerAway; a concurrent completion succeeds."""
    async with store.ledger() as ledger:
        if isinstance(ledger.calls, MemoryCalls):
            return  # it encodes nothing
        ends: list[list[Outcome] | BaseException] = await asyncio.gather(
            ledger.calls.complete({CALL_1: REPLY}, owner=A),
            ledger.calls.complete({CALL_2: Reply("\ud800", "stop", Usage())}, owner=A),
            return_exceptions=True,
        )
        assert ends[0] == [REPLY]
        assert isinstance(ends[1], TypeError)
