"""The call ledger in Valkey or Redis, for many machines.

Each method is one Lua script (services/ledger/lua), so that it is atomic, and one round trip for any number of calls.
The store's clock is the server's TIME. What the server must see to itself: `maxmemory-policy noeviction` (checked at
opening, where CONFIG GET is permitted: an evicted call would be paid for again), and `appendonly yes`. With
`appendfsync everysec` a machine that dies loses up to a second of finished calls, with `always` none; a failover to a
replica loses what it had not got yet. All finished calls stand in the server's memory, until they are pruned.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

from services.contracts.case import Usage
from services.contracts.codec import canonical
from services.core.dedupe.minhash import Candidate
from services.core.ledger.calls import Outcome
from services.core.ledger.ports import Admission, CallRow, Claim, ClaimRow, Done, Elsewhere, Mine, Refusal
from services.core.ledger.spending import SETTLED_ENOUGH, BudgetState, Price, Spending
from services.core.messages import Position
from services.ledger.encoding import refusals
from services.ledger.encoding.outcomes import decode, encode
from services.ledger.valkey import admissions
from services.ledger.valkey.server import ValkeyServer

_KEYS: Final = [
    f"reasonmed{{ledger}}:{name}"
    for name in (
        *("calls", "leases", "history", "admissions", "duplicates", "attempts", "numbers"),
        *("refusals", "known", "bands"),
        *("spending", "budget", "reservations", "open_of", "settled"),  # the last five: money.lua
    )
]
_CALLS, _LEASES, _HISTORY, _ADMISSIONS, _DUPLICATES, _ATTEMPTS, _NUMBERS, _REFUSALS, _KNOWN, _BANDS = _KEYS[:10]
_SPENDING, _BUDGET, _RESERVATIONS = _KEYS[10:13]
_CIRCUITS: Final = "reasonmed{ledger}:circuits"
_PRUNED: Final = (
    *(_CALLS, _LEASES, _HISTORY, _ADMISSIONS, _DUPLICATES, _ATTEMPTS, _REFUSALS, _KNOWN, _BANDS, _RESERVATIONS),
)
_ENDED: Final[dict[str, Literal["completed", "released", "open"]]] = {
    "completed": "completed",
    "released": "released",
    "open": "open",
}


class ValkeyLedger:
    """The ports of the call ledger over one server. Made by `open`."""

    def __init__(self, server: ValkeyServer, clock: Callable[[], float] | None) -> None:
        self._server = server
        self._clock = clock

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, clock: Callable[[], float] | None = None) -> "AsyncIterator[ValkeyLedger]":
        """The ledger on this server; a clock in its place only in tests. Raises LedgerUnusable, LedgerAway."""
        async with ValkeyServer.open(url) as server:
            yield cls(server, clock)

    async def claim(self, call_ids: Sequence[str], *, owner: str, lease_s: float) -> list[Claim]:
        answers = await self._run("claim", owner, _us(lease_s), *call_ids)
        return [_claim(answer, lease_s) for answer in answers]

    async def renew(self, call_ids: Sequence[str], *, owner: str, lease_s: float) -> list[bool]:
        return [bool(held) for held in await self._run("renew", owner, _us(lease_s), *call_ids)]

    async def release(self, call_ids: Sequence[str], *, owner: str) -> None:
        await self._run("release", owner, *call_ids)

    async def complete(
        self, outcomes: Mapping[str, Outcome], *, owner: str, prices: Mapping[str, Price] | None = None
    ) -> list[Outcome]:
        given = prices or {}
        written: list[str | bytes] = []
        for call_id, outcome in outcomes.items():
            written += [call_id, encode(outcome), _paid(given.get(call_id), outcome.usage)]
        answers = await self._run("complete", owner, *written)
        return [
            _call("", held).outcome if held else mine for held, mine in zip(answers, outcomes.values(), strict=True)
        ]

    async def admit(
        self,
        case_id: str,
        *,
        named: str | None,
        current: str,
        life: int,
        position: Position,
        refusal: Refusal | None = None,
        candidate: Candidate | None = None,
    ) -> Admission:
        submission = canonical([case_id, named or "", life])
        given = b"" if refusal is None else refusals.encode(refusal)
        told = () if candidate is None else admissions.arguments(case_id, candidate, anyway=life > 0)
        answer = await self._run("admit", submission, _place(position), named or current, given, *told)
        verdict, recipe_id, kept = answer
        return Admission(verdict.decode(), recipe_id.decode(), refusals.decode(kept) if kept else None)

    async def spendings(self) -> Sequence[Spending]:
        sums: dict[tuple[str, str], dict[str, int]] = {}
        for field, value in (await self._server.command("HGETALL", _SPENDING)).items():
            alias, stage, what = field.decode().split("\n")
            sums.setdefault((alias, stage), {})[what] = int(value)
        return [_spending(*key, sums[key]) for key in sorted(sums)]

    async def budget(self) -> BudgetState:
        held = await self._server.command("HGETALL", _BUDGET)
        limit = held.get(b"limit")
        spent, reserved, open_, waiting = (
            int(held.get(name, 0)) for name in (b"spent", b"reserved", b"open", b"waiting")
        )
        return BudgetState(None if limit is None else int(limit), spent, reserved, open_, bool(waiting))

    async def set_budget(self, limit_nano_usd: int | None) -> None:
        if limit_nano_usd is None:
            await self._server.command("HDEL", _BUDGET, "limit", "waiting")
        else:
            await self._server.command("HSET", _BUDGET, "limit", limit_nano_usd, "waiting", 0)

    async def reserve(self, case_id: str, work_id: str, life: int, *, recipe_id: str, prior_nano_usd: int) -> bool:
        asked = (f"{work_id} {life}", case_id, recipe_id, prior_nano_usd, SETTLED_ENOUGH)
        return bool(await self._run("reserve", *asked))

    async def settle(self, work_id: str, life: int) -> None:
        await self._run("settle", f"{work_id} {life}")

    async def open_attempt(self, service: str, position: Position, *, owner: str) -> int:
        others: int = await self._run("open_attempt", _message(service, position), owner)
        return others

    async def close_attempt(self, service: str, position: Position, *, owner: str) -> None:
        await self._run("close_attempt", _message(service, position), owner)

    async def forget_attempts(self, service: str, position: Position) -> None:
        await self._server.command("HDEL", _ATTEMPTS, _message(service, position))

    async def circuit(self, service: str) -> str | None:
        why: bytes | None = await self._server.command("HGET", _CIRCUITS, service)
        return None if why is None else why.decode()

    async def set_circuit(self, service: str, why: str | None) -> None:
        if why is None:
            await self._server.command("HDEL", _CIRCUITS, service)
        else:
            await self._server.command("HSET", _CIRCUITS, service, why)

    async def claims(self) -> list[ClaimRow]:
        # A lease may end between the two readings, and is then in both: what is read last counts.
        rows = {number: row async for number, row in self._open_leases()}
        rows |= {number: row async for number, row in self._ended_leases()}
        return [row for _, row in sorted(rows.items(), key=lambda item: (item[1].since, item[0]))]

    async def calls(self) -> list[CallRow]:
        rows = {field: _call(field.decode(), value) async for field, value in self._scan(_CALLS)}
        return sorted(rows.values(), key=lambda row: row.at)

    async def under_way(self) -> Mapping[str, int]:
        now = self._clock() if self._clock else await self._server.time()
        leases = {number: row async for number, row in self._open_leases()}
        return Counter(row.owner for row in leases.values() if row.until > now)

    async def admitted(self) -> dict[str, int]:
        first = await self._server.command("HLEN", _ADMISSIONS)
        return {"first": first, "duplicate": await self._server.command("HLEN", _DUPLICATES)}

    async def prune(self, older_than_s: float) -> int:
        dropped = {key: await self._prune(key, older_than_s) for key in _PRUNED}
        return dropped[_CALLS]

    async def _run(self, script: str, *args: str | bytes | int) -> Any:
        now = _us(self._clock()) if self._clock else ""
        return await self._server.script(script, _KEYS, [now, *args])

    async def _prune(self, key: str, older_than_s: float) -> int:
        dropped, cursor = 0, b"0"
        while True:
            cursor, some = await self._run("prune", _KEYS.index(key) + 1, _us(older_than_s), cursor)
            dropped += int(some)
            if cursor == b"0":
                return dropped

    async def _scan(self, key: str) -> AsyncIterator[tuple[bytes, bytes]]:
        """Field and value of a hash, some more than once where it changes meanwhile."""
        cursor = 0
        while True:
            cursor, page = await self._server.command("HSCAN", key, cursor, "COUNT", 200)
            for pair in page.items():
                yield pair
            if cursor == 0:
                return

    async def _open_leases(self) -> AsyncIterator[tuple[int, ClaimRow]]:
        async for field, value in self._scan(_LEASES):
            until, since, number, owner = value.decode().split(" ", 3)
            yield int(number), ClaimRow(field.decode(), owner, _s(since), _s(until), "open")

    async def _ended_leases(self) -> AsyncIterator[tuple[int, ClaimRow]]:
        async for field, value in self._scan(_HISTORY):
            until, since, ended, call_id, owner = value.decode().split(" ", 4)
            yield int(field), ClaimRow(call_id, owner, _s(since), _s(until), _ENDED[ended])


def _claim(answer: bytes | int, lease_s: float) -> Claim:
    if isinstance(answer, bytes):
        return Done(_outcome(answer))
    return Elsewhere(answer / 1e6) if answer else Mine(lease_s)


def _call(call_id: str, value: bytes) -> CallRow:
    head, _, outcome = value.partition(b"\n")
    at, owner = head.decode().split(" ", 1)
    return CallRow(call_id, owner, _s(at), decode(outcome))


def _paid(price: Price | None, usage: Usage) -> str:
    if price is None:
        return ""
    tokens = (usage.prompt, usage.completion, usage.cached)
    return "\n".join(map(str, (price.alias, price.stage, price.case_id, *tokens, price.nano_usd(usage))))


def _spending(alias: str, stage: str, sums: Mapping[str, int]) -> Spending:
    usage = Usage(prompt=sums["prompt"], completion=sums["completion"], cached=sums["cached"])
    return Spending(alias, stage, sums["calls"], usage, sums["nano_usd"])


def _outcome(value: bytes) -> Outcome:
    return _call("", value).outcome


def _place(position: Position) -> bytes:
    return canonical([position.topic, position.partition, position.offset])


def _message(service: str, position: Position) -> bytes:
    return canonical([service, position.topic, position.partition, position.offset])


def _us(seconds: float) -> int:
    return round(seconds * 1e6)


def _s(us: str) -> float:
    return int(us) / 1e6
