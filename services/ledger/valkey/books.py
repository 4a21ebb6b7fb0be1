"""The Valkey ledger's history, and its pruning."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, Literal, cast

from services.contracts.base import CallId
from services.core.ledger.ports import CallRow, ClaimRow
from services.ledger.valkey import scripts as keys
from services.ledger.valkey.calls import call_row
from services.ledger.valkey.scripts import KEYS, Scripts, microseconds, seconds

_PRUNED: Final = (keys.CALLS, keys.LEASES, keys.HISTORY, keys.ATTEMPTS, keys.RESERVATIONS)
_ADMISSIONS: Final = (keys.ADMISSIONS, keys.DUPLICATES, keys.REFUSALS, keys.KNOWN, keys.BANDS)


class ValkeyBooks:
    """The port Books."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def claims(self) -> list[ClaimRow]:
        # A lease that ends between the two reads is in both: the later read counts.
        rows = {number: row async for number, row in self._open_leases()}
        rows |= {number: row async for number, row in self._ended_leases()}
        return [row for _, row in sorted(rows.items(), key=lambda item: (item[1].since, item[0]))]

    async def calls(self) -> list[CallRow]:
        rows = {field: call_row(CallId(field.decode()), value) async for field, value in self._scan(keys.CALLS)}
        return sorted(rows.values(), key=lambda row: row.at)

    async def found(self, call_ids: Sequence[CallId]) -> Mapping[CallId, CallRow]:
        if not call_ids:
            return {}
        values = await self._scripts.command("HMGET", keys.CALLS, *call_ids)
        return {
            call_id: call_row(call_id, value)
            for call_id, value in zip(call_ids, values, strict=True)
            if value is not None
        }

    async def under_way(self) -> Mapping[str, int]:
        now = await self._scripts.now()
        leases = {number: row async for number, row in self._open_leases()}
        return Counter(row.owner for row in leases.values() if row.until > now)

    async def admitted(self) -> dict[str, int]:
        first = await self._scripts.command("HLEN", keys.ADMISSIONS)
        return {"first": first, "duplicate": await self._scripts.command("HLEN", keys.DUPLICATES)}

    async def prune(self, older_than_s: float, *, admissions_s: float | None = None) -> int:
        for key in _ADMISSIONS if admissions_s is not None else ():
            await self._prune(key, admissions_s or 0.0)
        dropped = {key: await self._prune(key, older_than_s) for key in _PRUNED}
        return dropped[keys.CALLS]

    async def _prune(self, key: str, older_than_s: float) -> int:
        dropped, cursor = 0, b"0"
        while True:
            cursor, some = await self._scripts.run("prune", KEYS.index(key) + 1, microseconds(older_than_s), cursor)
            dropped += int(some)
            if cursor == b"0":
                return dropped

    async def _scan(self, key: str) -> AsyncIterator[tuple[bytes, bytes]]:
        """Field and value of a hash; a field that changes during the scan may come more than once."""
        cursor = 0
        while True:
            cursor, page = await self._scripts.command("HSCAN", key, cursor, "COUNT", 200)
            for pair in page.items():
                yield pair
            if cursor == 0:
                return

    async def _open_leases(self) -> AsyncIterator[tuple[int, ClaimRow]]:
        async for field, value in self._scan(keys.LEASES):
            until, since, number, owner = value.decode().split(" ", 3)
            yield int(number), ClaimRow(CallId(field.decode()), owner, seconds(since), seconds(until), "open")

    async def _ended_leases(self) -> AsyncIterator[tuple[int, ClaimRow]]:
        async for field, value in self._scan(keys.HISTORY):
            until, since, ended, call_id, owner = value.decode().split(" ", 4)
            how = cast(Literal["completed", "released", "open"], ended)
            yield int(field), ClaimRow(CallId(call_id), owner, seconds(since), seconds(until), how)
