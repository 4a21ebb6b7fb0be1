"""The standings in Valkey or Redis, under keys of their own beside the ledger's.

    reasonmed{standings}:seen        hash  case id -> what was seen of it
    reasonmed{standings}:counts      hash  [kind, a, b, c] -> how many
    reasonmed{standings}:slices      hash  the same, of rates: dropped when they are an hour old
    reasonmed{standings}:recent      sorted set  [case id, work id] by when it changed last
    reasonmed{standings}:open:TOPIC  sorted set  the same, of those that stand open in this topic
    reasonmed{standings}:figures     the figures that were published last

A case is changed by one script, which does nothing where another writer came first: then it is read again.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from services.contracts.base import CaseId
from services.contracts.codec import canonical, loads
from services.contracts.topics import topics
from services.core.status.case_status import CaseEvent, CaseSeen, CaseStatus
from services.core.status.store import Filter, Tally
from services.ledger.encoding import case_status as seen
from services.ledger.valkey.server import ValkeyServer

_SEEN, _COUNTS, _SLICES, _RECENT, _FIGURES = (
    f"reasonmed{{standings}}:{name}" for name in ("seen", "counts", "slices", "recent", "figures")
)
_OPEN = "reasonmed{standings}:open:"

_PAGE = 200
_LOOKED_AT = 10_000
"""Standings that `latest` looks at, at most."""

Command = list[str]


class ValkeyStatusStore:
    """The port over one server. Made by `open`."""

    def __init__(self, server: ValkeyServer, clock: Callable[[], float]) -> None:
        self._server = server
        self._clock = clock

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, clock: Callable[[], float] = time.time) -> "AsyncIterator[ValkeyStatusStore]":
        """The standings on this server. Raises LedgerUnusable, LedgerAway."""
        async with ValkeyServer.open(url) as server:
            yield cls(server, clock)

    async def observe(self, events: Sequence[CaseEvent]) -> None:
        for case_id, new in seen.by_case(events).items():
            while not await self._observed(case_id, new):
                pass  # another writer came first: each such round one of them has gone on

    async def case(self, case_id: CaseId) -> CaseSeen | None:
        body = await self._server.command("HGET", _SEEN, case_id)
        return None if body is None else seen.decode(case_id, body)

    async def latest(self, which: Filter, *, limit: int) -> list[CaseStatus]:
        found: list[CaseStatus] = []
        for start in range(0, _LOOKED_AT, _PAGE):
            names = await self._server.command("ZREVRANGE", _RECENT, start, start + _PAGE - 1)
            if names:
                found += [each for each in await self._named(names) if which.takes(each) and each not in found]
            if len(names) < _PAGE or len(found) >= limit:
                break
        return sorted(found, key=lambda standing: -standing.since_ms)[:limit]

    async def tally(self, now_ms: int) -> Tally:
        counts = {**await self._server.command("HGETALL", _COUNTS), **await self._server.command("HGETALL", _SLICES)}
        oldest: dict[str, int] = {}
        for topic in topics():
            if first := await self._server.command("ZRANGE", _OPEN + topic, 0, 0, "WITHSCORES"):
                oldest[topic] = int(float(first[0][1] if isinstance(first[0], list | tuple) else first[1]))
        return seen.tally(((_count(name), int(n)) for name, n in counts.items()), oldest, now_ms)

    async def publish(self, figures: bytes) -> None:
        await self._server.command("SET", _FIGURES, figures)
        first = seen.oldest_slice(self._now_ms())
        old = [name for name in await self._server.command("HKEYS", _SLICES) if int(_count(name)[2]) < first]
        if old:
            await self._server.command("HDEL", _SLICES, *old)

    async def published(self) -> bytes | None:
        figures: bytes | None = await self._server.command("GET", _FIGURES)
        return figures

    async def prune(self, older_than_s: float) -> int:
        before = self._now_ms() - int(older_than_s * 1000)
        dropped, cursor = 0, 0
        while True:
            cursor, page = await self._server.command("HSCAN", _SEEN, cursor, "COUNT", _PAGE)
            for name, body in page.items():
                case = seen.decode(name.decode(), body)
                if case.ended_before(before):
                    dropped += await self._change(case, body, b"", list(_moved(case, CaseSeen(case.case_id))))
            if cursor == 0:
                return dropped

    async def _observed(self, case_id: CaseId, new: Sequence[CaseEvent]) -> bool:
        body = await self._server.command("HGET", _SEEN, case_id)
        before = seen.decode(case_id, body)
        after, delta = before.with_(new)
        if after == before:
            return True
        commands = list(_moved(before, after))
        for count, n in seen.counts(delta, self._now_ms()).items():
            commands.append(["HINCRBY", _SLICES if count[0] == "slice" else _COUNTS, _field(count), str(n)])
        return await self._change(before, body or b"", seen.encode(after), commands)

    async def _change(self, case: CaseSeen, before: bytes, after: bytes, commands: list[Command]) -> bool:
        words = ["", case.case_id, before, after, canonical(commands)]
        return bool(await self._server.script("observe", [_SEEN], words))

    async def _named(self, names: Sequence[bytes]) -> list[CaseStatus]:
        """The standings under these names, in order. One that changed meanwhile is told as it is now."""
        works = [loads(name) for name in names]
        bodies = await self._server.command("HMGET", _SEEN, *(case_id for case_id, _ in works))
        return [
            standing
            for (case_id, work_id), body in zip(works, bodies, strict=True)
            if body is not None
            for standing in seen.decode(case_id, body).standings()
            if standing.work_id == work_id
        ]

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def _moved(before: CaseSeen, after: CaseSeen) -> Iterator[Command]:
    """What changes in the sorted sets."""
    was = {standing.work_id: standing for standing in before.standings()}
    now = {standing.work_id: standing for standing in after.standings()}
    for work_id, standing in was.items():
        name = _field([standing.case_id, work_id])
        if work_id not in now:
            yield ["ZREM", _RECENT, name]
        if standing.end is None and _place(standing) != _place(now.get(work_id)):
            yield ["ZREM", _OPEN + standing.topic, name]
    for work_id, standing in now.items():
        name = _field([standing.case_id, work_id])
        yield ["ZADD", _RECENT, str(standing.since_ms), name]
        if standing.end is None:
            yield ["ZADD", _OPEN + standing.topic, str(standing.since_ms), name]


def _place(standing: CaseStatus | None) -> tuple[str, Any] | None:
    return None if standing is None else (standing.topic, standing.end)


def _field(names: Sequence[str]) -> str:
    return canonical(list(names)).decode()


def _count(name: bytes) -> seen.Count:
    kind, a, b, c = loads(name)
    return kind, a, b, c
