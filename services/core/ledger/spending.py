"""The price of a model call, spending, and the state of the budget."""

from dataclasses import dataclass
from typing import Final

from services.contracts.base import CaseId
from services.contracts.case import Usage
from services.contracts.recipe import Model

NANO: Final = 1_000_000_000
"""Nano-USD in a USD: money is summed in whole ones, so that it sums to the same in any order."""

SETTLED_ENOUGH: Final = 20
"""Ended cases of a recipe whose mean says what the next one will probably cost. Until then a prior does."""


@dataclass(frozen=True)
class Price:
    """Whom a call is put down to, and by which prices: the recipe's, USD a million tokens, cached ones at the full
    price."""

    case_id: CaseId
    alias: str
    stage: str
    price_in: float
    price_out: float

    def nano_usd(self, usage: Usage) -> int:
        """What this usage costs."""
        return round((usage.prompt * self.price_in + usage.completion * self.price_out) * NANO / 1_000_000)


def price_of(model: Model, *, case_id: CaseId, alias: str, stage: str) -> Price:
    """By this model's prices."""
    return Price(case_id, alias, stage, model.price_in, model.price_out)


@dataclass(frozen=True)
class Spending:
    """The finished calls of one model alias and stage; each paid call once, failed ones too."""

    alias: str
    stage: str
    calls: int
    usage: Usage
    nano_usd: int


@dataclass(frozen=True)
class BudgetState:
    """The budget as the store has it."""

    limit_nano_usd: int | None
    """None: none is set, and nothing ever waits."""
    spent_nano_usd: int
    """By all finished calls, of whatever case."""
    reserved_nano_usd: int
    """What the open cases will probably still cost: of each its estimate less what its calls have cost, not below 0."""
    open: int
    """Cases with a reservation."""
    waiting: bool
    """The last question that asked for a reservation was told to wait."""


def estimate(settled: int, spent_nano_usd: int, prior_nano_usd: int) -> int:
    """What a case will probably cost, in nano-USD: the mean of so many ended ones, once they are enough."""
    return spent_nano_usd // settled if settled >= SETTLED_ENOUGH else prior_nano_usd
