"""What the ledger says of money and of calls under way. A ledger that keeps none says nothing, and nothing breaks."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.core.spending import BudgetState, Spending


class Money:
    """A ledger's side of spending (services.core.spending), as far as it has one."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger

    async def settle(self, work_id: str, life: int) -> None:
        """The work has ended: its reservation goes. Raises LedgerAway."""
        if hasattr(self._ledger, "settle"):
            await self._ledger.settle(work_id, life)

    async def spendings(self) -> Sequence[Spending]:
        """By alias and stage. Raises LedgerAway."""
        return await self._ledger.spendings() if hasattr(self._ledger, "spendings") else ()

    async def budget(self) -> BudgetState | None:
        """None: this ledger keeps none. Raises LedgerAway."""
        return await self._ledger.budget() if hasattr(self._ledger, "budget") else None

    async def under_way(self) -> Mapping[str, int]:
        """Live leases by owner. Raises LedgerAway."""
        return await self._ledger.under_way() if hasattr(self._ledger, "under_way") else {}
