"""The call ledger in a SQLite file, for all processes of one machine.

The file stands on a local disk, in WAL mode. What must not be lost is on the disk before its method returns (finished
calls, admissions, circuits, as with synchronous=FULL): they are money, and a power cut must not undo what Kafka may
already have published from them. Leases and attempts are only handed to the system (synchronous=NORMAL): a process
that dies loses nothing, and after a power cut nobody is left to hold them. The waiting for the disk is shared by all
that finish in the meantime, and holds up no other process. The store's clock is the machine's.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any

from services.core.dedupe.minhash import Candidate
from services.core.ledger.calls import Outcome
from services.core.ledger.ports import Admission, CallRow, Claim, ClaimRow, Done, Refusal
from services.core.ledger.spending import BudgetState, Price, Spending
from services.core.messages import Position
from services.ledger.encoding.outcomes import decode, encode
from services.ledger.sqlite import budgets, statements
from services.ledger.sqlite.commits import SqliteCommits
from services.ledger.sqlite.file import connect, prepare, translated

_PRUNED_AT_ONCE = 500
"""Rows of one deleting transaction: a few milliseconds."""


class SqliteLedger:
    """The ports of the call ledger over one file. Made by `open`."""

    def __init__(self, path: Path, commits: SqliteCommits) -> None:
        self._path = path
        self._commits = commits

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, clock: Callable[[], float] = time.time) -> "AsyncIterator[SqliteLedger]":
        """The ledger in this file, made where there is none. Raises LedgerUnusable, LedgerAway."""
        await asyncio.to_thread(prepare, path)
        async with SqliteCommits.open(path, clock) as commits:
            yield cls(path, commits)

    async def claim(self, call_ids: Sequence[str], *, owner: str, lease_s: float) -> list[Claim]:
        found = await self._commits.run(partial(statements.claim, call_ids=call_ids, owner=owner, lease_s=lease_s))
        return [Done(decode(claim)) if isinstance(claim, bytes) else claim for claim in found]

    async def renew(self, call_ids: Sequence[str], *, owner: str, lease_s: float) -> list[bool]:
        return await self._commits.run(partial(statements.renew, call_ids=call_ids, owner=owner, lease_s=lease_s))

    async def release(self, call_ids: Sequence[str], *, owner: str) -> None:
        await self._commits.run(partial(statements.release, call_ids=call_ids, owner=owner))

    async def complete(
        self, outcomes: Mapping[str, Outcome], *, owner: str, prices: Mapping[str, Price] | None = None
    ) -> list[Outcome]:
        written = {call_id: encode(outcome) for call_id, outcome in outcomes.items()}
        paid = {call_id: (price, outcomes[call_id].usage) for call_id, price in (prices or {}).items()}
        work = partial(statements.complete, outcomes=written, owner=owner, paid=paid)
        stands = await self._commits.run(work, durable=True)
        return [decode(held) if held else mine for held, mine in zip(stands, outcomes.values(), strict=True)]

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
        work = partial(
            statements.admit,
            submission=(case_id, named or "", life),
            recipe_id=named or current,
            position=position,
            refusal=refusal,
            candidate=candidate,
        )
        return await self._commits.run(work, durable=True)

    async def open_attempt(self, service: str, position: Position, *, owner: str) -> int:
        message = _message(service, position)
        return await self._commits.run(partial(statements.open_attempt, message=message, owner=owner))

    async def close_attempt(self, service: str, position: Position, *, owner: str) -> None:
        message = _message(service, position)
        await self._commits.run(partial(statements.close_attempt, message=message, owner=owner))

    async def forget_attempts(self, service: str, position: Position) -> None:
        await self._commits.run(partial(statements.forget_attempts, message=_message(service, position)))

    async def circuit(self, service: str) -> str | None:
        return await self._commits.run(partial(statements.circuit, service=service))

    async def set_circuit(self, service: str, why: str | None) -> None:
        await self._commits.run(partial(statements.set_circuit, service=service, why=why), durable=True)

    async def spendings(self) -> Sequence[Spending]:
        return await self._commits.run(budgets.spendings)

    async def budget(self) -> BudgetState:
        return await self._commits.run(budgets.state)

    async def set_budget(self, limit_nano_usd: int | None) -> None:
        await self._commits.run(partial(budgets.set_limit, limit=limit_nano_usd), durable=True)

    async def reserve(self, case_id: str, work_id: str, life: int, *, recipe_id: str, prior_nano_usd: int) -> bool:
        ask = partial(budgets.reserve, case_id=case_id, work=(work_id, life), recipe_id=recipe_id, prior=prior_nano_usd)
        return await self._commits.run(ask, durable=True)

    async def settle(self, work_id: str, life: int) -> None:
        await self._commits.run(partial(budgets.settle, work=(work_id, life)))

    async def claims(self) -> list[ClaimRow]:
        rows = await self._read("SELECT call_id, owner, since, until, ended FROM claim ORDER BY since, id")
        return [ClaimRow(*row) for row in rows]

    async def calls(self) -> list[CallRow]:
        rows = await self._read("SELECT call_id, owner, at, outcome FROM call ORDER BY at, id")
        return [CallRow(call_id, owner, at, decode(outcome)) for call_id, owner, at, outcome in rows]

    async def under_way(self) -> Mapping[str, int]:
        return await self._commits.run(statements.under_way)

    async def admitted(self) -> dict[str, int]:
        [(first, duplicate)] = await self._read("SELECT total(first), total(NOT first) FROM admission")
        return {"first": int(first), "duplicate": int(duplicate)}

    async def prune(self, older_than_s: float) -> int:
        dropped = 0
        for kind in statements.PRUNED:
            work = partial(statements.prune, kind=kind, older_than_s=older_than_s, limit=_PRUNED_AT_ONCE)
            while gone := await self._commits.run(work):
                dropped += gone if kind == "call" else 0
        return dropped

    async def _read(self, query: str) -> list[Any]:
        """Read in a thread, on a connection of its own: in WAL mode a long account delays no claim."""

        def read() -> list[Any]:
            with translated(self._path), closing(connect(self._path)) as db:
                return db.execute(query).fetchall()

        return await asyncio.to_thread(read)


def _message(service: str, position: Position) -> statements.Message:
    return service, position.topic, position.partition, position.offset
