"""Spending, reservations and the budget in Valkey."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from services.contracts.base import CaseId, RecipeId, WorkId
from services.contracts.case import Usage
from services.core.ledger.spending import SETTLED_ENOUGH, BudgetState, Spending
from services.ledger.valkey.scripts import BUDGET, REMEMBERED, SPENDING, Scripts


class ValkeyBudgets:
    """The port Budgets."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def spendings(self) -> Sequence[Spending]:
        return await self._sums(SPENDING)

    async def remembered(self) -> Sequence[Spending]:
        return await self._sums(REMEMBERED)

    async def state(self) -> BudgetState:
        names = ("limit", "spent", "reserved", "open", "waiting")
        limit, *counts = await self._scripts.command("HMGET", BUDGET, *names)
        spent, reserved, open_, waiting = (int(count or 0) for count in counts)
        return BudgetState(None if limit is None else int(limit), spent, reserved, open_, bool(waiting))

    async def set_limit(self, nano_usd: int | None) -> None:
        if nano_usd is None:
            await self._scripts.command("HDEL", BUDGET, "limit", "waiting")
        else:
            await self._scripts.command("HSET", BUDGET, "limit", nano_usd, "waiting", 0)

    async def reserve(
        self, case_id: CaseId, work_id: WorkId, life: int, *, recipe_id: RecipeId, prior_nano_usd: int
    ) -> bool:
        words = (f"{work_id} {life}", case_id, recipe_id, prior_nano_usd, SETTLED_ENOUGH)
        return bool(await self._scripts.run("reserve", *words))

    async def end(self, case_id: CaseId, reason: str) -> bool:
        return bool(await self._scripts.run("end", case_id, reason))

    async def ended(self, case_id: CaseId) -> str | None:
        reason: bytes | None = await self._scripts.command("HGET", BUDGET, f"ended {case_id}")
        return None if reason is None else reason.decode()

    async def settle(self, work_id: WorkId, life: int) -> None:
        await self._scripts.run("settle", f"{work_id} {life}")

    async def _sums(self, key: str) -> list[Spending]:
        sums: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for field, value in (await self._scripts.command("HGETALL", key)).items():
            alias, stage, name = field.decode().split("\n")
            sums[alias, stage][name] = int(value)
        return [_spending(*names, sums[names]) for names in sorted(sums)]


def _spending(alias: str, stage: str, sums: Mapping[str, int]) -> Spending:
    usage = Usage(prompt=sums["prompt"], completion=sums["completion"], cached=sums["cached"])
    return Spending(alias, stage, sums["calls"], usage, sums["nano_usd"])
