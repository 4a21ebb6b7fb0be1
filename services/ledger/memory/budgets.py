"""The money of the ledger's fake."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from services.contracts.case import Usage
from services.core.ledger.spending import BudgetState, Price, Spending, estimate

_Work = tuple[str, int]


@dataclass
class _Reservation:
    case_id: str
    recipe_id: str
    at: float
    estimate: int
    spent: int = 0
    open: bool = True

    @property
    def left(self) -> int:
        return max(0, self.estimate - self.spent) if self.open else 0


class MemoryMoney:
    """What was spent and reserved."""

    def __init__(self) -> None:
        self.limit: int | None = None
        self.waiting = False
        self._spent: dict[tuple[str, str], Spending] = {}
        self._reserved: dict[_Work, _Reservation] = {}
        self._settled: defaultdict[str, list[int]] = defaultdict(list)

    def pay(self, price: Price, usage: Usage) -> None:
        """Put a call down."""
        key, cost = (price.alias, price.stage), price.nano_usd(usage)
        before = self._spent.get(key, Spending(*key, 0, Usage(), 0))
        self._spent[key] = Spending(*key, before.calls + 1, before.usage + usage, before.nano_usd + cost)
        theirs = [each for each in self._reserved.values() if each.case_id == price.case_id and each.open]
        if theirs:
            max(theirs, key=lambda each: each.at).spent += cost

    def spendings(self) -> Sequence[Spending]:
        """By alias and stage."""
        return [self._spent[key] for key in sorted(self._spent)]

    def state(self) -> BudgetState:
        """The budget as it stands."""
        open_ = [each for each in self._reserved.values() if each.open]
        spent = sum(each.nano_usd for each in self._spent.values())
        return BudgetState(self.limit, spent, sum(each.left for each in open_), len(open_), self.waiting)

    def reserve(self, case_id: str, work: _Work, recipe_id: str, prior: int, now: float) -> bool:
        """As the port says."""
        if work in self._reserved:
            return True
        settled, state = self._settled[recipe_id], self.state()
        wanted = estimate(len(settled), sum(settled), prior)
        asked = state.spent_nano_usd + state.reserved_nano_usd + wanted
        self.waiting = self.limit is not None and asked > self.limit
        if not self.waiting:
            self._reserved[work] = _Reservation(case_id, recipe_id, now, wanted)
        return not self.waiting

    def settle(self, work: _Work, now: float) -> None:
        """As the port says."""
        found = self._reserved.get(work)
        if found is None:
            self._reserved[work] = _Reservation("", "", now, 0, open=False)
        elif found.open:
            found.open = False
            self._settled[found.recipe_id].append(found.spent)

    def prune(self, cutoff: float) -> None:
        """Forget what was settled and reserved before that."""
        self._reserved = {work: each for work, each in self._reserved.items() if each.open or each.at >= cutoff}
