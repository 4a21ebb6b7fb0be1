"""Spending, reservations and the budget in memory."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from services.contracts.base import CaseId, RecipeId, WorkId
from services.contracts.case import Usage
from services.core.ledger.spending import BudgetState, Price, Spending, estimate
from services.ledger.memory.server import MemoryServer

_Work = tuple[WorkId, int]
"""Work id and life."""


@dataclass
class _Reservation:
    case_id: CaseId
    recipe_id: RecipeId
    at: float
    estimate: int
    spent: int = 0
    open: bool = True

    @property
    def left(self) -> int:
        return max(0, self.estimate - self.spent) if self.open else 0


class MemoryBudgets:
    """The port Budgets."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        self._limit: int | None = None
        self._waiting = False
        self._spent: dict[tuple[str, str], Spending] = {}
        self._remembered: dict[tuple[str, str], Spending] = {}
        self._reserved: dict[_Work, _Reservation] = {}
        self._ended: dict[CaseId, str] = {}
        self._settled: defaultdict[str, list[int]] = defaultdict(list)

    async def spendings(self) -> Sequence[Spending]:
        self._server.now()
        return [self._spent[key] for key in sorted(self._spent)]

    async def remembered(self) -> Sequence[Spending]:
        self._server.now()
        return [self._remembered[key] for key in sorted(self._remembered)]

    async def state(self) -> BudgetState:
        self._server.now()
        return self._state()

    async def set_limit(self, nano_usd: int | None) -> None:
        self._server.now()
        self._limit, self._waiting = nano_usd, False

    async def reserve(
        self, case_id: CaseId, work_id: WorkId, life: int, *, recipe_id: RecipeId, prior_nano_usd: int
    ) -> bool:
        now, work = self._server.now(), (work_id, life)
        if case_id in self._ended:
            return False
        if work in self._reserved:
            return True
        settled, state = self._settled[recipe_id], self._state()
        wanted = estimate(len(settled), sum(settled), prior_nano_usd)
        total = state.spent_nano_usd + state.reserved_nano_usd + wanted
        self._waiting = self._limit is not None and total > self._limit
        if not self._waiting:
            self._reserved[work] = _Reservation(case_id, recipe_id, now, wanted)
        return not self._waiting

    async def end(self, case_id: CaseId, reason: str) -> bool:
        self._server.now()
        if any(each.case_id == case_id and each.open for each in self._reserved.values()):
            return False
        self._ended[case_id] = reason
        return True

    async def ended(self, case_id: CaseId) -> str | None:
        self._server.now()
        return self._ended.get(case_id)

    async def settle(self, work_id: WorkId, life: int) -> None:
        now, work = self._server.now(), (work_id, life)
        found = self._reserved.get(work)
        if found is None:
            self._reserved[work] = _Reservation(CaseId(""), RecipeId(""), now, 0, open=False)
        elif found.open:
            found.open = False
            self._settled[found.recipe_id].append(found.spent)

    def charge(self, price: Price, usage: Usage) -> None:
        """Add a finished call, and take it from its case's latest open reservation."""
        cost = _add(self._spent, price, usage)
        open_ = [each for each in self._reserved.values() if each.case_id == price.case_id and each.open]
        if open_:
            max(open_, key=lambda each: each.at).spent += cost

    def remember(self, price: Price, usage: Usage) -> None:
        """Count a finished call that was asked for again."""
        _add(self._remembered, price, usage)

    def prune(self, cutoff: float) -> None:
        """Drop older reservations that are settled."""
        self._reserved = {work: each for work, each in self._reserved.items() if each.open or each.at >= cutoff}

    def _state(self) -> BudgetState:
        open_ = [each for each in self._reserved.values() if each.open]
        spent = sum(each.nano_usd for each in self._spent.values())
        return BudgetState(self._limit, spent, sum(each.left for each in open_), len(open_), self._waiting)


def _add(to: dict[tuple[str, str], Spending], price: Price, usage: Usage) -> int:
    """Add a call under its alias and stage; returns its cost."""
    key, cost = (price.alias, price.stage), price.nano_usd(usage)
    before = to.get(key, Spending(*key, 0, Usage(), 0))
    to[key] = Spending(*key, before.calls + 1, before.usage + usage, before.nano_usd + cost)
    return cost
