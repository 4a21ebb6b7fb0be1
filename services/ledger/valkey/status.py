"""The status store in Valkey or Redis, under keys of its own next to the ledger's.

    reasonmed{standings}:seen        hash  case id -> its events
    reasonmed{standings}:counts      hash  [kind, a, b, c] -> count
    reasonmed{standings}:slices      hash  the same for rates; dropped after an hour
    reasonmed{standings}:recent      sorted set  [case id, work id] by time of the last change
    reasonmed{standings}:open:TOPIC  sorted set  the same, only open works at this topic
    reasonmed{standings}:figures     the last published figures
    reasonmed{standings}:minutes     hash  minute -> its totals

One script updates a case. It does nothing if another writer was first (optimistic locking); the case is then read
again.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from services.contracts.base import CaseId
from services.contracts.codec import canonical, loads
from services.contracts.topics import topics
from services.core.status.case_status import CaseEvent, CaseHistory, CaseStatus
from services.core.status.store import MOST_READ, Filter, Tally
from services.ledger.encoding import case_status as encoding
from services.ledger.valkey.server import ValkeyServer

_SEEN, _COUNTS, _SLICES, _RECENT, _FIGURES, _MINUTES = (
    f"reasonmed{{standings}}:{name}" for name in ("seen", "counts", "slices", "recent", "figures", "minutes")
)
_OPEN = "reasonmed{standings}:open:"

_PAGE = 200
Command = list[str]


class ValkeyStatusStore:
    """The port over one server. Create it with `open`."""

    def __init__(self, server: ValkeyServer, clock: Callable[[], float]) -> None:
        self._server = server
        self._clock = clock

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, clock: Callable[[], float] = time.time) -> "AsyncIterator[ValkeyStatusStore]":
        """Open the store on this server. Raises LedgerUnusable, LedgerAway."""
        async with ValkeyServer.open(url) as server:
            yield cls(server, clock)

    async def observe(self, events: Sequence[CaseEvent]) -> None:
        for case_id, new in encoding.by_case(events).items():
            while not await self._observed(case_id, new):
                pass  # another writer was first; each round at least one writer makes progress

    async def case(self, case_id: CaseId) -> CaseHistory | None:
        body = await self._server.command("HGET", _SEEN, case_id)
        return None if body is None else encoding.decode(case_id, body)

    async def latest(self, which: Filter, *, limit: int) -> list[CaseStatus]:
        found: list[CaseStatus] = []
        for start in range(0, MOST_READ, _PAGE):
            names = await self._server.command("ZREVRANGE", _RECENT, start, start + _PAGE - 1)
            if names:
                found += [each for each in await self._named(names) if which.takes(each) and each not in found]
            if len(names) < _PAGE or len(found) >= limit:
                break
        return sorted(found, key=lambda status: -status.since_ms)[:limit]

    async def tally(self, now_ms: int) -> Tally:
        counts = {**await self._server.command("HGETALL", _COUNTS), **await self._server.command("HGETALL", _SLICES)}
        oldest: dict[str, int] = {}
        for topic in topics():
            if first := await self._server.command("ZRANGE", _OPEN + topic, 0, 0, "WITHSCORES"):
                oldest[topic] = int(float(first[0][1] if isinstance(first[0], list | tuple) else first[1]))
        return encoding.tally(((_count(name), int(n)) for name, n in counts.items()), oldest, now_ms)

    async def publish(self, figures: bytes) -> None:
        await self._server.command("SET", _FIGURES, figures)
        first = encoding.oldest_slice(self._now_ms())
        old = [name for name in await self._server.command("HKEYS", _SLICES) if int(_count(name)[2]) < first]
        if old:
            await self._server.command("HDEL", _SLICES, *old)

    async def published(self) -> bytes | None:
        figures: bytes | None = await self._server.command("GET", _FIGURES)
        return figures

    async def keep_minute(self, minute: int, snapshot: bytes) -> None:
        await self._server.command("HSET", _MINUTES, minute, snapshot)
        first = encoding.oldest_minute(minute)
        old = [at for at in await self._server.command("HKEYS", _MINUTES) if int(at) < first]
        if old:
            await self._server.command("HDEL", _MINUTES, *old)

    async def minutes(self, since: int) -> list[bytes]:
        kept = await self._server.command("HGETALL", _MINUTES)
        return [kept[at] for at in sorted(kept, key=int) if int(at) >= since]

    async def prune(self, older_than_s: float) -> int:
        before = self._now_ms() - int(older_than_s * 1000)
        dropped, cursor = 0, 0
        while True:
            cursor, page = await self._server.command("HSCAN", _SEEN, cursor, "COUNT", _PAGE)
            for name, body in page.items():
                case = encoding.decode(name.decode(), body)
                if case.ended_before(before):
                    dropped += await self._change(case, body, b"", list(_moved(case, CaseHistory(case.case_id))))
            if cursor == 0:
                return dropped

    async def _observed(self, case_id: CaseId, new: Sequence[CaseEvent]) -> bool:
        body = await self._server.command("HGET", _SEEN, case_id)
        before = encoding.decode(case_id, body)
        after, delta = before.with_(new)
        if after == before:
            return True
        commands = list(_moved(before, after))
        for count, n in encoding.counts(delta, self._now_ms()).items():
            commands.append(["HINCRBY", _SLICES if count[0] == "slice" else _COUNTS, _field(count), str(n)])
        return await self._change(before, body or b"", encoding.encode(after), commands)

    async def _change(self, case: CaseHistory, before: bytes, after: bytes, commands: list[Command]) -> bool:
        words = ["", case.case_id, before, after, canonical(commands)]
        return bool(await self._server.script("observe", [_SEEN], words))

    async def _named(self, names: Sequence[bytes]) -> list[CaseStatus]:
        """The statuses with these names, in order, each as it is now."""
        works = [loads(name) for name in names]
        bodies = await self._server.command("HMGET", _SEEN, *(case_id for case_id, _ in works))
        return [
            status
            for (case_id, work_id), body in zip(works, bodies, strict=True)
            if body is not None
            for status in encoding.decode(case_id, body).statuses()
            if status.work_id == work_id
        ]

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def _moved(before: CaseHistory, after: CaseHistory) -> Iterator[Command]:
    """The commands that update the sorted sets."""
    was = {status.work_id: status for status in before.statuses()}
    now = {status.work_id: status for status in after.statuses()}
    for work_id, status in was.items():
        name = _field([status.case_id, work_id])
        if work_id not in now:
            yield ["ZREM", _RECENT, name]
        if status.end is None and _place(status) != _place(now.get(work_id)):
            yield ["ZREM", _OPEN + status.topic, name]
    for work_id, status in now.items():
        name = _field([status.case_id, work_id])
        yield ["ZADD", _RECENT, str(status.since_ms), name]
        if status.end is None:
            yield ["ZADD", _OPEN + status.topic, str(status.since_ms), name]


def _place(status: CaseStatus | None) -> tuple[str, Any] | None:
    return None if status is None else (status.topic, status.end)


def _field(names: Sequence[str]) -> str:
    return canonical(list(names)).decode()


def _count(name: bytes) -> encoding.Count:
    kind, a, b, c = loads(name)
    return kind, a, b, c
