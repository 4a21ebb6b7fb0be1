"""What cases cost, and the bound on what is spent beyond a budget."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from services.contracts.base import CallId, CaseId, RecipeId, WorkId
from services.contracts.case import Usage
from services.contracts.recipe import Recipe
from services.core.ledger.budget_bound import ceiling, prior
from services.core.ledger.calls import Reply
from services.core.ledger.spending import SETTLED_ENOUGH, Price, estimate
from services.ledger.memory.ledger import memory_ledger
from services.recipes import load


def priced() -> Recipe:
    recipe = load("default")
    models = {alias: model.with_(price_in=0.4, price_out=0.9) for alias, model in recipe.models.items()}
    return recipe.with_(models=models)


def test_a_case_probably_costs_less_than_it_can() -> None:
    assert 0 < prior(priced()) < ceiling(priced())


def test_free_models_cost_nothing() -> None:
    recipe = load("default")
    free = {alias: model.with_(price_in=0.0, price_out=0.0) for alias, model in recipe.models.items()}
    assert (prior(recipe.with_(models=free)), ceiling(recipe.with_(models=free))) == (0, 0)


def test_more_possible_calls_raise_the_ceiling() -> None:
    recipe = priced()
    more = recipe.with_(routing=recipe.routing.with_(rounds=recipe.routing.rounds + 1))
    assert ceiling(more) > ceiling(recipe)
    assert ceiling(recipe.with_(max_asks=recipe.max_asks + 1)) > ceiling(recipe)


def test_the_mean_takes_the_priors_place_once_it_tells() -> None:
    assert estimate(SETTLED_ENOUGH - 1, 1, 100) == 100
    assert estimate(SETTLED_ENOUGH, SETTLED_ENOUGH * 7, 100) == 7


@given(
    seed=st.integers(0, 2**32),
    budget=st.integers(0, 20_000),
    most=st.integers(1, 1_000),
    expected=st.integers(1, 1_000),
    open_at_once=st.integers(1, 30),
)
async def test_spending_stays_within_the_bound(
    seed: int, budget: int, most: int, expected: int, open_at_once: int
) -> None:
    """Cases come, pay in several calls, whatever they like up to `most`, and end in any order: the sum is exceeded at
    most by what the cases that were open when the last was let in cost beyond their estimates. In nano-USD."""
    random, ledger = Random(seed), memory_ledger()
    await ledger.budgets.set_limit(budget)
    open_: dict[int, int] = {}  # what each may still cost
    estimates: dict[int, int] = {}
    bound, number = budget, 0

    async def pay(case: int, cost: int) -> None:
        nonlocal number
        number += 1
        price = Price(CaseId(f"case-{case}"), "a", "generate", price_in=0, price_out=1_000_000 / 1e9)
        reply = Reply("", "stop", Usage(completion=cost))
        await ledger.calls.complete(
            {CallId(f"call-{number}"): reply}, owner="w", prices={CallId(f"call-{number}"): price}
        )

    for case in range(60):
        before = (await ledger.budgets.state()).reserved_nano_usd
        if len(open_) < open_at_once and await ledger.budgets.reserve(
            CaseId(f"case-{case}"),
            WorkId(f"work-{case}"),
            0,
            recipe_id=RecipeId("r"),
            prior_nano_usd=min(expected, most),
        ):
            open_[case] = most
            estimates[case] = (await ledger.budgets.state()).reserved_nano_usd - before
            bound = budget + sum(max(0, most - estimates[each]) for each in open_)
        for each in random.sample(sorted(open_), min(3, len(open_))):
            cost = random.randint(0, open_[each])
            await pay(each, cost)
            open_[each] -= cost
            if random.random() < 0.4:
                del open_[each]
                await ledger.budgets.settle(WorkId(f"work-{each}"), 0)
        assert (await ledger.budgets.state()).spent_nano_usd <= bound
    for each, left in open_.items():
        await pay(each, left)
    state = await ledger.budgets.state()
    assert state.spent_nano_usd <= bound
    assert state.open == len(open_)
