"""The price of a model call, spending, and the state of the budget."""

from dataclasses import dataclass
from typing import Final

from services.contracts.base import CaseId
from services.contracts.case import Usage
from services.contracts.recipe import Model

NANO: Final = 1_000_000_000
"""Nano-USD per USD: amounts are integers, so that sums do not depend on the order."""

SETTLED_ENOUGH: Final = 20
"""Ended cases of a recipe whose mean cost is the estimate for the next one. Until then the prior is."""


@dataclass(frozen=True)
class Price:
    """The case that a call is charged to, and its prices: the recipe's, in USD per million tokens; cached tokens cost
    the full price."""

    case_id: CaseId
    alias: str
    stage: str
    price_in: float
    price_out: float
    sends: int = 1
    """HTTP requests that the process which finished the call sent for it."""

    def nano_usd(self, usage: Usage) -> int:
        """The cost of this usage."""
        return round((usage.prompt * self.price_in + usage.completion * self.price_out) * NANO / 1_000_000)


def price_of(model: Model, *, case_id: CaseId, alias: str, stage: str, sends: int = 1) -> Price:
    """The price of a call of this model."""
    return Price(case_id, alias, stage, model.price_in, model.price_out, sends)


@dataclass(frozen=True)
class Spending:
    """The cost of the finished calls of one model alias and stage; each paid call counts once, including failed
    ones."""

    alias: str
    stage: str
    calls: int
    usage: Usage
    nano_usd: int


@dataclass(frozen=True)
class BudgetState:
    """The budget in the store."""

    limit_nano_usd: int | None
    """None: no limit is set, and admission never waits."""
    spent_nano_usd: int
    """The cost of all finished calls of all cases."""
    reserved_nano_usd: int
    """The expected remaining cost of open cases: each case's estimate less the cost of its calls, at least 0."""
    open: int
    """Cases with a reservation."""
    waiting: bool
    """Whether the last reservation was refused, so that its question waits."""


def estimate(settled: int, spent_nano_usd: int, prior_nano_usd: int) -> int:
    """The estimated cost of a case in nano-USD: the mean of the settled cases if there are enough, else the prior."""
    return spent_nano_usd // settled if settled >= SETTLED_ENOUGH else prior_nano_usd
