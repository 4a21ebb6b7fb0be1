"""Reports on models in Valkey: one field for each worker, as JSON with the time at which it ends."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from services.contracts.codec import canonical, loads
from services.core.ledger.reports import ModelReport, worst
from services.ledger.valkey.scripts import REPORTS, Scripts


class ValkeyReports:
    """The port ModelReports."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def report(self, owner: str, found: Sequence[ModelReport], *, for_s: float) -> None:
        if not found:
            await self._scripts.command("HDEL", REPORTS, owner)
            return
        value = {"until": await self._scripts.now() + for_s, "found": [asdict(each) for each in found]}
        await self._scripts.command("HSET", REPORTS, owner, canonical(value))

    async def reported(self) -> Mapping[str, ModelReport]:
        now, live = await self._scripts.now(), []
        for owner, value in (await self._scripts.command("HGETALL", REPORTS)).items():
            row = loads(value)
            if row["until"] > now:
                live += [(owner.decode(), ModelReport(**each)) for each in row["found"]]
            else:  # of a worker that died
                await self._scripts.command("HDEL", REPORTS, owner)
        return worst(live)
