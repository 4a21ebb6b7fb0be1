"""The laws of the call ledger, held by each of its adapters."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from services.contracts.case import Usage
from services.core.ledger.calls import Failure, Outcome, Reply
from services.core.ledger.ports import ClaimRow, Done, Elsewhere, Mine
from services.core.messages import Position
from services.ledger import Ledger
from services.ledger.memory.calls import MemoryCalls
from tests.laws.conftest import FakeClock

A, B = "worker-a", "worker-b"
REPLY = Reply("It is β-lactam.\nFinal answer: B", "stop", Usage(prompt=70, completion=9, cached=64), "hm\x00 ☤")
OTHER = Reply("Final answer: C", "length", Usage(prompt=70, completion=5))
HERE, THERE = Position("question-submitted", 0, 7), Position("question-submitted", 3, 7)


def by_call(rows: list[ClaimRow], call_id: str) -> list[ClaimRow]:
    return [row for row in rows if row.call_id == call_id]


# --- claims and leases


async def test_a_call_is_leased_to_one_owner(ledger: Ledger) -> None:
    """The first to claim gets the lease; another learns how long it still lasts."""
    assert await ledger.calls.claim(["call-1"], owner=A, lease_s=30) == [Mine(30)]
    assert await ledger.calls.claim(["call-1"], owner=B, lease_s=30) == [Elsewhere(30)]


async def test_a_claim_of_many_answers_each_in_order(ledger: Ledger) -> None:
    """Finished, free and taken calls in one claim are answered in its order, one named twice as well."""
    await ledger.calls.complete({"call-1": REPLY}, owner=A)
    await ledger.calls.claim(["call-2"], owner=A, lease_s=30)
    claims = await ledger.calls.claim(["call-3", "call-2", "call-1", "call-3"], owner=B, lease_s=20)
    assert claims == [Mine(20), Elsewhere(30), Done(REPLY), Mine(20)]
    assert len(by_call(await ledger.books.claims(), "call-3")) == 1


async def test_nothing_asked_is_nothing_done(ledger: Ledger) -> None:
    """Empty claims, renewals, releases and completions are allowed."""
    assert await ledger.calls.claim([], owner=A, lease_s=1) == []
    assert await ledger.calls.renew([], owner=A, lease_s=1) == []
    assert await ledger.calls.complete({}, owner=A) == []
    await ledger.calls.release([], owner=A)
    assert await ledger.books.claims() == []


async def test_a_second_claim_of_the_owner_renews(ledger: Ledger, clock) -> None:
    """It extends the one lease, and never shortens it."""
    await ledger.calls.claim(["call-1"], owner=A, lease_s=30)
    clock.pass_(20)
    assert await ledger.calls.claim(["call-1"], owner=A, lease_s=30) == [Mine(30)]
    assert await ledger.calls.claim(["call-1"], owner=A, lease_s=1) == [Mine(1)]
    assert await ledger.books.claims() == [ClaimRow("call-1", A, clock.now - 20, clock.now + 30, "open")]


async def test_a_renewal_extends_only_what_is_held(ledger: Ledger, clock) -> None:
    """False for what is another's, has run out, was ended, or was never claimed."""
    await ledger.calls.claim(["live", "ended", "out"], owner=A, lease_s=10)
    await ledger.calls.claim(["others"], owner=B, lease_s=99)
    await ledger.calls.release(["ended"], owner=A)
    clock.pass_(5)
    assert await ledger.calls.renew(["live"], owner=A, lease_s=10) == [True]
    clock.pass_(5)
    asked = ["live", "ended", "out", "others", "never"]
    assert await ledger.calls.renew(asked, owner=A, lease_s=10) == [True, False, False, False, False]
    assert by_call(await ledger.books.claims(), "live")[0].until == clock.now + 10


async def test_a_lease_that_ran_out_can_be_taken_over(ledger: Ledger, clock) -> None:
    """From the moment of its end on; the old row keeps that end, and nobody has ended it."""
    start = clock.now
    await ledger.calls.claim(["call-1"], owner=A, lease_s=10)
    clock.pass_(9.75)
    assert await ledger.calls.claim(["call-1"], owner=B, lease_s=10) == [Elsewhere(0.25)]
    clock.pass_(0.25)
    assert await ledger.calls.claim(["call-1"], owner=B, lease_s=10) == [Mine(10)]
    assert await ledger.calls.claim(["call-1"], owner=A, lease_s=10) == [Elsewhere(10)]
    assert await ledger.books.claims() == [
        ClaimRow("call-1", A, start, start + 10, "open"),
        ClaimRow("call-1", B, start + 10, start + 20, "open"),
    ]


async def test_an_owner_that_comes_back_too_late_gets_a_new_lease(ledger: Ledger, clock) -> None:
    """The call was nobody's in between, and the books say so."""
    start = clock.now
    await ledger.calls.claim(["call-1"], owner=A, lease_s=10)
    clock.pass_(15)
    assert await ledger.calls.claim(["call-1"], owner=A, lease_s=10) == [Mine(10)]
    assert [(row.since - start, row.until - start) for row in await ledger.books.claims()] == [(0, 10), (15, 25)]


async def test_a_released_call_is_free_at_once(ledger: Ledger, clock) -> None:
    """Its row ends then, as 'released'; what is another's, or has run out, is left alone."""
    start = clock.now
    await ledger.calls.claim(["call-1", "out"], owner=A, lease_s=10)
    await ledger.calls.renew(["call-1"], owner=A, lease_s=60)
    clock.pass_(12)
    await ledger.calls.release(["call-1"], owner=B)
    assert await ledger.calls.claim(["call-1"], owner=B, lease_s=10) == [Elsewhere(48)]
    await ledger.calls.release(["call-1", "out", "never"], owner=A)
    await ledger.calls.release(["call-1"], owner=A)
    assert await ledger.calls.claim(["call-1"], owner=B, lease_s=10) == [Mine(10)]
    rows = await ledger.books.claims()
    assert by_call(rows, "out") == [ClaimRow("out", A, start, start + 10, "open")]
    assert by_call(rows, "call-1")[0] == ClaimRow("call-1", A, start, start + 12, "released")


# --- outcomes


@pytest.mark.parametrize("outcome", [REPLY, OTHER, Failure("400: context too long", Usage(prompt=3)), Failure("")])
async def test_what_was_written_is_what_everyone_gets(ledger: Ledger, clock, outcome: Outcome) -> None:
    """Byte for byte, for the writer, the claimants and the books; the lease ends as 'completed'."""
    await ledger.calls.claim(["call-1"], owner=A, lease_s=30)
    clock.pass_(4)
    assert await ledger.calls.complete({"call-1": outcome}, owner=A) == [outcome]
    assert await ledger.calls.claim(["call-1"], owner=B, lease_s=30) == [Done(outcome)]
    [row] = await ledger.books.calls()
    assert (row.call_id, row.owner, row.at, row.outcome) == ("call-1", A, clock.now, outcome)
    assert await ledger.books.claims() == [ClaimRow("call-1", A, clock.now - 4, clock.now, "completed")]
    assert await ledger.calls.renew(["call-1"], owner=A, lease_s=30) == [False]


async def test_a_usage_keeps_fields_of_a_newer_version(ledger: Ledger) -> None:
    """Usage comes from the ledger, in a mixed fleet too."""
    reply = Reply("text", "stop", Usage.model_validate({"prompt": 1, "audio": 5}))
    await ledger.calls.complete({"call-1": reply}, owner=A)
    assert await ledger.calls.claim(["call-1"], owner=B, lease_s=30) == [Done(reply)]


async def test_the_first_writer_wins(ledger: Ledger, clock) -> None:
    """A later outcome is dropped, and its writer told what stands; in one completion each call is decided alone."""
    await ledger.calls.complete({"call-1": REPLY}, owner=A)
    clock.pass_(1)
    outcomes = {"call-2": OTHER, "call-1": Failure("late"), "call-3": REPLY}
    assert await ledger.calls.complete(outcomes, owner=B) == [OTHER, REPLY, REPLY]
    assert [row.owner for row in await ledger.books.calls()] == [A, B, B]


async def test_who_lost_the_lease_still_writes_what_was_paid_for(ledger: Ledger, clock) -> None:
    """Then the call is done, the present holder's lease ends as 'released', and its own outcome comes second."""
    start = clock.now
    await ledger.calls.claim(["call-1"], owner=A, lease_s=10)
    clock.pass_(11)
    await ledger.calls.claim(["call-1"], owner=B, lease_s=10)
    clock.pass_(1)
    assert await ledger.calls.complete({"call-1": REPLY}, owner=A) == [REPLY]
    assert await ledger.calls.renew(["call-1"], owner=B, lease_s=10) == [False]
    assert await ledger.calls.complete({"call-1": OTHER}, owner=B) == [REPLY]
    assert await ledger.books.claims() == [
        ClaimRow("call-1", A, start, start + 10, "open"),
        ClaimRow("call-1", B, start + 11, start + 12, "released"),
    ]


async def test_an_outcome_after_the_lease_s_end_does_not_stretch_the_lease(ledger: Ledger, clock) -> None:
    """The row is 'completed', and ends when the lease ran out; the call's own row says when the outcome came."""
    start = clock.now
    await ledger.calls.claim(["call-1"], owner=A, lease_s=10)
    clock.pass_(25)
    await ledger.calls.complete({"call-1": REPLY}, owner=A)
    assert await ledger.books.claims() == [ClaimRow("call-1", A, start, start + 10, "completed")]
    assert [row.at for row in await ledger.books.calls()] == [start + 25]


# --- many at once, and on the store's own clock


async def test_of_many_at_once_one_gets_the_lease(store) -> None:
    """Two processes' ledgers, 40 claims of the same calls: one owner has each call, and it is the same for all."""
    calls = [f"call-{number}" for number in range(9)]
    async with store.ledger() as one, store.ledger() as two:
        asked = [(one if n % 2 else two).calls.claim(calls, owner=f"worker-{n}", lease_s=60) for n in range(40)]
        answers = await asyncio.gather(*asked)
        for call in range(len(calls)):
            assert sum(isinstance(answer[call], Mine) for answer in answers) == 1
        assert len(await one.books.claims()) == len(calls)


async def test_what_one_wrote_the_other_sees(store) -> None:
    """All processes see one ledger, and it is there after it was closed."""
    async with store.ledger() as one, store.ledger() as two:
        await one.calls.claim(["call-1"], owner=A, lease_s=60)
        [claim] = await two.calls.claim(["call-1"], owner=B, lease_s=60)
        assert isinstance(claim, Elsewhere)
        assert 0 < claim.remaining_s <= 60
        await one.calls.complete({"call-1": REPLY}, owner=A)
        assert await two.calls.claim(["call-1"], owner=B, lease_s=60) == [Done(REPLY)]
    async with store.ledger() as three:
        assert [row.outcome for row in await three.books.calls()] == [REPLY]


async def test_a_lease_ends_by_the_store_s_own_clock(store) -> None:
    """No process has to end it: whoever waits for the time that it was told gets the call."""
    async with store.ledger() as ledger:
        await ledger.calls.claim(["call-1"], owner=A, lease_s=0.2)
        while isinstance(claim := (await ledger.calls.claim(["call-1"], owner=B, lease_s=5))[0], Elsewhere):  # noqa: ASYNC110
            await asyncio.sleep(claim.remaining_s)
        old, new = await ledger.books.claims()
        assert claim == Mine(5)
        assert old.until - old.since == pytest.approx(0.2, abs=1e-4)
        assert new.since >= old.until


async def test_a_cancelled_caller_harms_no_other(store) -> None:
    """Callers that are cancelled at any moment leave the answers of the others right, and the ledger in order."""
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


async def test_a_mistake_of_the_caller_stays_one_and_spoils_no_other_call(store) -> None:
    """Text that can't be written is refused as such, never as LedgerAway; what runs beside it is done."""
    async with store.ledger() as ledger:
        if isinstance(ledger.calls, MemoryCalls):
            return  # it writes nothing down
        good, bad = await asyncio.gather(
            ledger.calls.complete({"call-1": REPLY}, owner=A),
            ledger.calls.complete({"call-2": Reply("\ud800", "stop", Usage())}, owner=A),
            return_exceptions=True,
        )
        assert good == [REPLY]
        assert isinstance(bad, TypeError)


# --- admission


async def test_a_question_is_admitted_once(ledger: Ledger) -> None:
    """First; the same message again is the same; any other message a duplicate. All are told the first's recipe."""
    asked = {"named": None, "life": 0}
    first = await ledger.admissions.admit("case-1", current="recipe-1", position=HERE, **asked)
    same = await ledger.admissions.admit("case-1", current="recipe-2", position=HERE, **asked)
    late = [await ledger.admissions.admit("case-1", current="recipe-2", position=THERE, **asked) for _ in range(3)]
    other = await ledger.admissions.admit("case-2", current="recipe-2", position=THERE, **asked)
    assert [(it.verdict, it.recipe_id) for it in (first, same, *late, other)] == [
        ("first", "recipe-1"),
        ("same", "recipe-1"),
        *[("duplicate", "recipe-1")] * 3,
        ("first", "recipe-2"),
    ]
    assert await ledger.books.admitted() == {"first": 2, "duplicate": 1}


async def test_a_question_is_admitted_once_for_each_named_recipe_and_life(ledger: Ledger) -> None:
    """A named recipe is another admission than none, even where it is the current one; so is a redrive's life."""
    verdicts = [
        (await ledger.admissions.admit("case-1", named=named, current="recipe-1", life=life, position=position)).verdict
        for position in (HERE, THERE)
        for named, life in ((None, 0), ("recipe-1", 0), ("recipe-2", 0), (None, 1), ("recipe-2", 1))
    ]
    assert verdicts == ["first"] * 5 + ["duplicate"] * 5
    again = await ledger.admissions.admit("case-1", named="recipe-2", current="recipe-1", life=0, position=HERE)
    assert (again.verdict, again.recipe_id) == ("same", "recipe-2")


async def test_of_many_submissions_at_once_one_is_first(store) -> None:
    """Whoever asks, from whichever process."""
    async with store.ledger() as one, store.ledger() as two:
        admissions = await asyncio.gather(
            *(
                ledger.admissions.admit(
                    "case-1", named=None, current=f"recipe-{n}", life=0, position=Position("t", n, 0)
                )
                for n, ledger in enumerate([one, two] * 10)
            )
        )
        assert sorted(it.verdict for it in admissions) == ["duplicate"] * 19 + ["first"]
        assert len({it.recipe_id for it in admissions}) == 1
        assert await two.books.admitted() == {"first": 1, "duplicate": 19}


# --- attempts and circuits


async def test_attempts_of_others_count_until_they_are_closed(ledger: Ledger) -> None:
    """By service and position; one's own count never, and once for the others however often they were opened."""
    assert [await ledger.attempts.open_attempt("verifier", HERE, owner=A) for _ in range(2)] == [0, 0]
    assert await ledger.attempts.open_attempt("verifier", HERE, owner=B) == 1
    assert await ledger.attempts.open_attempt("verifier", THERE, owner=B) == 0
    assert await ledger.attempts.open_attempt("refiner", HERE, owner=B) == 0
    assert await ledger.attempts.open_attempt("verifier", HERE, owner="c") == 2
    await ledger.attempts.close_attempt("verifier", HERE, owner=B)
    await ledger.attempts.close_attempt("verifier", HERE, owner="never opened one")
    assert await ledger.attempts.open_attempt("verifier", HERE, owner="c") == 1


async def test_a_finished_message_s_attempts_are_forgotten(ledger: Ledger) -> None:
    """All of that message, none of another."""
    for owner in (A, B):
        await ledger.attempts.open_attempt("verifier", HERE, owner=owner)
        await ledger.attempts.open_attempt("verifier", THERE, owner=owner)
    for _ in range(2):
        await ledger.attempts.forget_attempts("verifier", HERE)
    assert await ledger.attempts.open_attempt("verifier", HERE, owner="c") == 0
    assert await ledger.attempts.open_attempt("verifier", THERE, owner="c") == 2


async def test_a_circuit_is_kept_until_it_is_closed(store) -> None:
    """For each service, with the latest reason, over restarts."""
    async with store.ledger() as ledger:
        assert await ledger.attempts.circuit("verifier") is None
        await ledger.attempts.set_circuit("verifier", "12 dead letters in a minute")
        await ledger.attempts.set_circuit("verifier", "20 dead letters: Ω")
    async with store.ledger() as ledger:
        assert await ledger.attempts.circuit("verifier") == "20 dead letters: Ω"
        assert await ledger.attempts.circuit("refiner") is None
        for _ in range(2):
            await ledger.attempts.set_circuit("verifier", None)
        assert await ledger.attempts.circuit("verifier") is None


# --- books


@pytest.fixture
async def old_and_new(ledger: Ledger, clock) -> Ledger:
    """A ledger with an 'old' one of each kind, which ended 100 s ago, and a 'new' one, which ended just now."""
    for name, position in (("old", HERE), ("new", THERE)):
        await ledger.calls.claim([name, f"left-{name}"], owner=A, lease_s=1)
        await ledger.calls.complete({name: REPLY}, owner=A)
        for place in (position, Position(name, 1, 1)):
            await ledger.admissions.admit(f"case-{name}", named=None, current="recipe-1", life=0, position=place)
        await ledger.attempts.open_attempt("verifier", position, owner=A)
        if name == "old":
            await ledger.calls.claim(["running"], owner=A, lease_s=1_000)
            clock.pass_(100)
    return ledger


async def test_pruning_drops_what_is_old(old_and_new: Ledger, clock) -> None:
    """Calls, leases, admissions, duplicates and attempts of before; it says how many calls."""
    assert await old_and_new.books.prune(50) == 1
    assert await old_and_new.books.prune(50) == 0
    assert [row.call_id for row in await old_and_new.books.calls()] == ["new"]
    assert sorted(row.call_id for row in await old_and_new.books.claims()) == ["left-new", "new", "running"]
    assert await old_and_new.books.admitted() == {"first": 1, "duplicate": 1}
    assert await old_and_new.attempts.open_attempt("verifier", HERE, owner=B) == 0


async def test_pruning_keeps_what_is_young_or_lives(old_and_new: Ledger, clock) -> None:
    """A young call is still done, a lease that runs still runs, a young attempt and admission still stand."""
    await old_and_new.books.prune(50)
    assert await old_and_new.calls.claim(["new"], owner=B, lease_s=1) == [Done(REPLY)]
    assert await old_and_new.calls.claim(["running"], owner=B, lease_s=1) == [Elsewhere(900)]
    assert await old_and_new.calls.claim(["old", "left-old"], owner=B, lease_s=1) == [Mine(1), Mine(1)]
    assert await old_and_new.attempts.open_attempt("verifier", THERE, owner=B) == 1
    assert (
        await old_and_new.admissions.admit("case-new", named=None, current="", life=0, position=THERE)
    ).verdict == "same"


async def test_pruning_much_takes_many_steps_and_misses_nothing(ledger: Ledger, clock) -> None:
    """More rows than one step takes, of which some are young."""
    for batch in range(3):
        calls = [f"call-{batch}-{n}" for n in range(700)]
        await ledger.calls.claim(calls, owner=A, lease_s=1)
        await ledger.calls.complete(dict.fromkeys(calls, OTHER), owner=A)
        clock.pass_(10)
    assert await ledger.books.prune(15) == 1_400
    assert len(await ledger.books.calls()) == len(await ledger.books.claims()) == 700


async def test_the_books_are_in_order_of_time(ledger: Ledger, clock) -> None:
    """Oldest first, whatever the ids."""
    for name in ("z", "a", "m"):
        clock.pass_(1)
        await ledger.calls.claim([name], owner=A, lease_s=60)
    for name in ("m", "z", "a"):
        clock.pass_(1)
        await ledger.calls.complete({name: REPLY}, owner=A)
    assert [row.call_id for row in await ledger.books.claims()] == ["z", "a", "m"]
    assert [row.call_id for row in await ledger.books.calls()] == ["m", "z", "a"]


async def test_closing_finishes_what_was_asked_for(store) -> None:
    """What is under way when the ledger closes is in it afterwards."""
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(store.ledger())
        waiting = [asyncio.create_task(ledger.calls.complete({f"call-{n}": REPLY}, owner=A)) for n in range(20)]
        await asyncio.gather(*waiting)
    async with store.ledger() as ledger:
        assert len(await ledger.books.calls()) == 20


async def test_what_is_under_way_is_counted_by_owner(ledger: Ledger, clock: FakeClock) -> None:
    assert await ledger.books.under_way() == {}
    await ledger.calls.claim(["call-1", "call-2"], owner="a", lease_s=10)
    await ledger.calls.claim(["call-3"], owner="b", lease_s=60)
    assert await ledger.books.under_way() == {"a": 2, "b": 1}
    await ledger.calls.release(["call-1"], owner="a")
    assert await ledger.books.under_way() == {"a": 1, "b": 1}
    clock.pass_(20)
    assert await ledger.books.under_way() == {"b": 1}
    await ledger.calls.complete({"call-3": REPLY}, owner="b")
    assert await ledger.books.under_way() == {}
