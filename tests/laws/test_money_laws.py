"""The laws of money, for all three ledgers: a call is put down once, and what is reserved is never above the sum."""

import asyncio
from contextlib import AsyncExitStack

from services.contracts.case import Usage
from services.core.ledger.calls import Failure, Reply
from services.core.ledger.spending import SETTLED_ENOUGH, BudgetState, Price, Spending
from services.ledger import Ledger
from tests.laws.conftest import FakeClock, Store

REPLY = Reply("B", "stop", Usage(prompt=1_000, completion=500, cached=200))
ONE = 2_000_000
"""What the reply costs by PRICE, in nano-USD."""


def price(case: str = "case-1", stage: str = "generate") -> Price:
    return Price(case, "qwen", stage, price_in=1.0, price_out=2.0)


async def reserve(ledger: Ledger, number: int, prior: int) -> bool:
    return await ledger.budgets.reserve(f"case-{number}", f"work-{number}", 0, recipe_id="r", prior_nano_usd=prior)


async def pay(ledger: Ledger, number: int, calls: int, *, first: int = 0) -> None:
    """So many calls for a case, each ONE."""
    for call in range(first, first + calls):
        call_id = f"call-{number}-{call}"
        await ledger.calls.complete({call_id: REPLY}, owner="a", prices={call_id: price(f"case-{number}")})


async def test_a_call_is_put_down_once_whoever_completes_it(ledger: Ledger) -> None:
    assert await ledger.budgets.spendings() == []
    prices = {"call-1": price(), "call-2": price(stage="verify")}
    failed = Failure("refused", Usage(prompt=10))
    await ledger.calls.complete({"call-1": REPLY, "call-2": failed}, owner="a", prices=prices)
    for owner in ("a", "b"):
        await ledger.calls.complete({"call-1": REPLY, "call-2": failed}, owner=owner, prices=prices)
    assert await ledger.budgets.spendings() == [
        Spending("qwen", "generate", 1, REPLY.usage, ONE),
        Spending("qwen", "verify", 1, failed.usage, 10_000),
    ]
    assert (await ledger.budgets.state()).spent_nano_usd == ONE + 10_000


async def test_what_has_no_price_counts_nowhere(ledger: Ledger) -> None:
    await ledger.calls.complete({"call-1": REPLY}, owner="an older one")
    assert await ledger.budgets.spendings() == []


async def test_pruning_takes_nothing_from_it(ledger: Ledger, clock: FakeClock) -> None:
    await pay(ledger, 1, 2)
    assert await reserve(ledger, 1, 9 * ONE)
    await ledger.budgets.settle("work-2", 0)
    clock.pass_(1_000)
    assert await ledger.books.prune(10) == 2
    assert await ledger.budgets.state() == BudgetState(None, 2 * ONE, 9 * ONE, 1, waiting=False)
    await ledger.budgets.settle("work-1", 0)
    assert (await ledger.budgets.state()).reserved_nano_usd == 0


async def test_without_a_sum_nothing_waits(ledger: Ledger) -> None:
    assert await reserve(ledger, 1, 10**15)
    assert await ledger.budgets.state() == BudgetState(None, 0, 10**15, 1, waiting=False)


async def test_a_case_waits_for_what_is_spent_and_reserved(ledger: Ledger) -> None:
    await ledger.budgets.set_limit(10 * ONE)
    await pay(ledger, 9, 3)  # of a case that has no reservation
    assert await reserve(ledger, 1, 4 * ONE)
    assert await reserve(ledger, 2, 3 * ONE)
    assert not await reserve(ledger, 3, ONE)
    assert await ledger.budgets.state() == BudgetState(10 * ONE, 3 * ONE, 7 * ONE, 2, waiting=True)
    assert await reserve(ledger, 1, 4 * ONE), "asked again, it is told the same"
    await ledger.budgets.set_limit(11 * ONE)
    assert not (await ledger.budgets.state()).waiting
    assert await reserve(ledger, 3, ONE)
    await ledger.budgets.set_limit(None)
    assert await reserve(ledger, 4, 50 * ONE)


async def test_what_a_case_spends_comes_out_of_its_reservation(ledger: Ledger) -> None:
    await reserve(ledger, 1, 3 * ONE)
    await pay(ledger, 1, 2)
    assert await ledger.budgets.state() == BudgetState(None, 2 * ONE, ONE, 1, waiting=False)
    await pay(ledger, 1, 2, first=2)
    assert await ledger.budgets.state() == BudgetState(None, 4 * ONE, 0, 1, waiting=False), (
        "it cost more than was thought"
    )
    await ledger.budgets.settle("work-1", 0)
    await ledger.budgets.settle("work-1", 0)
    assert await ledger.budgets.state() == BudgetState(None, 4 * ONE, 0, 0, waiting=False)


async def test_what_is_left_goes_back_when_it_ends(ledger: Ledger) -> None:
    await ledger.budgets.set_limit(3 * ONE)
    await reserve(ledger, 1, 3 * ONE)
    await pay(ledger, 1, 1)
    assert not await reserve(ledger, 2, 2 * ONE)
    await ledger.budgets.settle("work-1", 0)
    assert await reserve(ledger, 2, 2 * ONE)


async def test_one_that_has_ended_reserves_nothing(ledger: Ledger) -> None:
    """Its end was seen before its admission was read again."""
    await ledger.budgets.settle("work-1", 0)
    await ledger.budgets.set_limit(0)
    assert await reserve(ledger, 1, ONE)
    assert (await ledger.budgets.state()).open == 0


async def test_the_mean_of_enough_ended_cases_says_what_the_next_will_cost(ledger: Ledger) -> None:
    for number in range(SETTLED_ENOUGH):
        await reserve(ledger, number, 100 * ONE)
        await pay(ledger, number, 1 + number % 2)
        assert (await ledger.budgets.state()).reserved_nano_usd == (100 - 1 - number % 2) * ONE
        await ledger.budgets.settle(f"work-{number}", 0)
    await reserve(ledger, 99, 100 * ONE)
    assert (await ledger.budgets.state()).reserved_nano_usd == 3 * ONE // 2
    await ledger.budgets.reserve("case-99", "work-other", 0, recipe_id="another", prior_nano_usd=100 * ONE)
    assert (await ledger.budgets.state()).reserved_nano_usd == 100 * ONE + 3 * ONE // 2


async def test_many_at_once_reserve_no_more_than_there_is(store: Store) -> None:
    """Four workers, each with a ledger of its own, let cases in and pay for them as fast as they can."""
    async with AsyncExitStack() as stack:
        ledgers = [await stack.enter_async_context(store.ledger()) for _ in range(4)]
        await ledgers[0].budgets.set_limit(20 * ONE)

        async def work(ledger: Ledger, worker: int) -> int:
            let_in = 0
            for number in range(worker, 40, 4):
                if await reserve(ledger, number, 2 * ONE):
                    let_in += 1
                    await pay(ledger, number, 2)
            return let_in

        assert sum(await asyncio.gather(*(work(ledger, n) for n, ledger in enumerate(ledgers)))) == 10
        assert await ledgers[0].budgets.state() == BudgetState(20 * ONE, 20 * ONE, 0, 10, waiting=True)
        [spending] = await ledgers[0].budgets.spendings()
        assert (spending.calls, spending.nano_usd) == (20, 20 * ONE)
