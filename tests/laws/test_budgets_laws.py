"""The laws of the port Budgets, for all three ledgers: a call is charged once; reservations never exceed the limit."""

import asyncio
from contextlib import AsyncExitStack

from services.contracts.base import CallId, CaseId, RecipeId, WorkId
from services.contracts.case import Stage, Usage
from services.core.ledger.calls import Failure, Reply
from services.core.ledger.spending import SETTLED_ENOUGH, BudgetState, Price, Spending
from services.ledger import Ledger
from tests.laws.conftest import FakeClock, Store

CALL_1 = CallId("call-1")
CALL_2 = CallId("call-2")
WORK_1 = WorkId("work-1")

REPLY = Reply("B", "stop", Usage(prompt=1_000, completion=500, cached=200))
ONE = 2_000_000
"""Cost of REPLY by `price`, in nano-USD."""


def price(case: str = "case-1", stage: Stage = "generate") -> Price:
    return Price(CaseId(case), "qwen", stage, price_in=1.0, price_out=2.0)


async def reserve(ledger: Ledger, number: int, prior: int) -> bool:
    return await ledger.budgets.reserve(
        CaseId(f"case-{number}"), WorkId(f"work-{number}"), 0, recipe_id=RecipeId("r"), prior_nano_usd=prior
    )


async def pay(ledger: Ledger, number: int, calls: int, *, first: int = 0) -> None:
    """Complete calls of a case, each at ONE."""
    for call in range(first, first + calls):
        call_id = CallId(f"call-{number}-{call}")
        await ledger.calls.complete({call_id: REPLY}, owner="a", prices={call_id: price(f"case-{number}")})


async def test_a_call_is_charged_once_also_if_two_owners_complete_it(ledger: Ledger) -> None:
    assert await ledger.budgets.spendings() == []
    prices = {CALL_1: price(), CALL_2: price(stage="verify")}
    failed = Failure("refused", Usage(prompt=10))
    await ledger.calls.complete({CALL_1: REPLY, CALL_2: failed}, owner="a", prices=prices)
    for owner in ("a", "b"):
        await ledger.calls.complete({CALL_1: REPLY, CALL_2: failed}, owner=owner, prices=prices)
    assert await ledger.budgets.spendings() == [
        Spending("qwen", "generate", 1, REPLY.usage, ONE),
        Spending("qwen", "verify", 1, failed.usage, 10_000),
    ]
    assert (await ledger.budgets.state()).spent_nano_usd == ONE + 10_000


async def test_a_call_without_a_price_is_not_charged(ledger: Ledger) -> None:
    await ledger.calls.complete({CALL_1: REPLY}, owner="an older worker")
    assert await ledger.budgets.spendings() == []


async def test_remembered_calls_are_counted_and_never_charged(ledger: Ledger, clock: FakeClock) -> None:
    assert await ledger.budgets.remembered() == []
    await ledger.calls.remember([(price(), REPLY.usage), (price(stage="verify"), Usage(prompt=10))])
    await ledger.calls.remember([(price(), REPLY.usage)])
    await ledger.calls.remember([])
    clock.pass_(1_000)
    await ledger.books.prune(10)
    assert await ledger.budgets.remembered() == [
        Spending("qwen", "generate", 2, REPLY.usage + REPLY.usage, 2 * ONE),
        Spending("qwen", "verify", 1, Usage(prompt=10), 10_000),
    ]
    assert await ledger.budgets.spendings() == []
    assert (await ledger.budgets.state()).spent_nano_usd == 0


async def test_pruning_does_not_change_spending_or_open_reservations(ledger: Ledger, clock: FakeClock) -> None:
    await pay(ledger, 1, 2)
    assert await reserve(ledger, 1, 9 * ONE)
    await ledger.budgets.settle(WorkId("work-2"), 0)
    clock.pass_(1_000)
    assert await ledger.books.prune(10) == 2
    assert await ledger.budgets.state() == BudgetState(None, 2 * ONE, 9 * ONE, 1, waiting=False)
    await ledger.budgets.settle(WORK_1, 0)
    assert (await ledger.budgets.state()).reserved_nano_usd == 0


async def test_without_a_limit_nothing_waits(ledger: Ledger) -> None:
    assert await reserve(ledger, 1, 10**15)
    assert await ledger.budgets.state() == BudgetState(None, 0, 10**15, 1, waiting=False)


async def test_spending_and_reservations_count_against_the_limit(ledger: Ledger) -> None:
    await ledger.budgets.set_limit(10 * ONE)
    await pay(ledger, 9, 3)  # a case without a reservation
    assert await reserve(ledger, 1, 4 * ONE)
    assert await reserve(ledger, 2, 3 * ONE)
    assert not await reserve(ledger, 3, ONE)
    assert await ledger.budgets.state() == BudgetState(10 * ONE, 3 * ONE, 7 * ONE, 2, waiting=True)
    assert await reserve(ledger, 1, 4 * ONE), "a repeated request gets the same answer"
    await ledger.budgets.set_limit(11 * ONE)
    assert not (await ledger.budgets.state()).waiting
    assert await reserve(ledger, 3, ONE)
    await ledger.budgets.set_limit(None)
    assert await reserve(ledger, 4, 50 * ONE)


async def test_a_case_spends_from_its_reservation(ledger: Ledger) -> None:
    await reserve(ledger, 1, 3 * ONE)
    await pay(ledger, 1, 2)
    assert await ledger.budgets.state() == BudgetState(None, 2 * ONE, ONE, 1, waiting=False)
    await pay(ledger, 1, 2, first=2)
    assert await ledger.budgets.state() == BudgetState(None, 4 * ONE, 0, 1, waiting=False), (
        "it cost more than its estimate"
    )
    await ledger.budgets.settle(WORK_1, 0)
    await ledger.budgets.settle(WORK_1, 0)
    assert await ledger.budgets.state() == BudgetState(None, 4 * ONE, 0, 0, waiting=False)


async def test_settling_returns_the_rest_of_a_reservation(ledger: Ledger) -> None:
    await ledger.budgets.set_limit(3 * ONE)
    await reserve(ledger, 1, 3 * ONE)
    await pay(ledger, 1, 1)
    assert not await reserve(ledger, 2, 2 * ONE)
    await ledger.budgets.settle(WORK_1, 0)
    assert await reserve(ledger, 2, 2 * ONE)


async def test_a_settled_case_reserves_nothing(ledger: Ledger) -> None:
    """Its end was consumed before its admission was redelivered."""
    await ledger.budgets.settle(WORK_1, 0)
    await ledger.budgets.set_limit(0)
    assert await reserve(ledger, 1, ONE)
    assert (await ledger.budgets.state()).open == 0


async def test_the_estimate_is_the_mean_of_enough_settled_cases(ledger: Ledger) -> None:
    for number in range(SETTLED_ENOUGH):
        await reserve(ledger, number, 100 * ONE)
        await pay(ledger, number, 1 + number % 2)
        assert (await ledger.budgets.state()).reserved_nano_usd == (100 - 1 - number % 2) * ONE
        await ledger.budgets.settle(WorkId(f"work-{number}"), 0)
    await reserve(ledger, 99, 100 * ONE)
    assert (await ledger.budgets.state()).reserved_nano_usd == 3 * ONE // 2
    await ledger.budgets.reserve(
        CaseId("case-99"), WorkId("work-other"), 0, recipe_id=RecipeId("another"), prior_nano_usd=100 * ONE
    )
    assert (await ledger.budgets.state()).reserved_nano_usd == 100 * ONE + 3 * ONE // 2


async def test_concurrent_workers_reserve_no_more_than_the_limit(store: Store) -> None:
    """Four workers, each with its own connection, reserve and pay as fast as they can."""
    async with AsyncExitStack() as stack:
        ledgers: list[Ledger] = [await stack.enter_async_context(store.ledger()) for _ in range(4)]
        await ledgers[0].budgets.set_limit(20 * ONE)

        async def work(ledger: Ledger, worker: int) -> int:
            admitted = 0
            for number in range(worker, 40, 4):
                if await reserve(ledger, number, 2 * ONE):
                    admitted += 1
                    await pay(ledger, number, 2)
            return admitted

        assert sum(await asyncio.gather(*(work(ledger, n) for n, ledger in enumerate(ledgers)))) == 10
        assert await ledgers[0].budgets.state() == BudgetState(20 * ONE, 20 * ONE, 0, 10, waiting=True)
        [spending] = await ledgers[0].budgets.spendings()
        assert (spending.calls, spending.nano_usd) == (20, 20 * ONE)


async def test_a_question_that_waits_can_be_ended_and_is_never_admitted(ledger: Ledger) -> None:
    await ledger.budgets.set_limit(ONE)
    assert not await reserve(ledger, 1, 2 * ONE)
    assert await ledger.budgets.ended(CaseId("case-1")) is None
    assert await ledger.budgets.end(CaseId("case-1"), "out of scope")
    await ledger.budgets.set_limit(None)
    await ledger.budgets.settle(WORK_1, 0)  # as the monitor does at its end
    assert not await reserve(ledger, 1, 2 * ONE)
    assert await ledger.budgets.ended(CaseId("case-1")) == "out of scope"
    assert not (await ledger.budgets.state()).waiting


async def test_a_question_that_is_admitted_is_not_ended(ledger: Ledger) -> None:
    assert await reserve(ledger, 1, ONE)
    assert not await ledger.budgets.end(CaseId("case-1"), "too late")
    assert await ledger.budgets.ended(CaseId("case-1")) is None
    assert await reserve(ledger, 1, ONE)
