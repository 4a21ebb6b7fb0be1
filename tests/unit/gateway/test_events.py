"""Server-sent events: what is told when, and that a stream ends when it has to."""

import asyncio
from typing import Any

import httpx
import pytest

from services.core.errors import LedgerAway
from services.core.messages import Position
from services.core.status.case_status import CaseEvent
from services.gateway.app import Bounds, Outside, create_app
from services.gateway.read.events import RETRY, Seen, changes, event
from services.ledger.memory.status import MemoryStatusStore

CASE = "case-" + "a" * 32
WORK = "work-" + "a" * 32


def admitted(**changes: Any) -> CaseEvent:
    fields: dict[str, Any] = {"case_id": CASE, "work_id": WORK, "position": Position("question-admitted", 0, 0)}
    return CaseEvent(**{**fields, "written_ms": 1, **changes})


REJECTED = admitted(position=Position("case-rejected", 0, 0), end="rejected", why="nothing held")


def test_an_event_on_the_wire() -> None:
    assert event("figures", b'{"at":1}') == b'event: figures\ndata: {"at":1}\n\n'
    assert event("figures", b"two\nlines") == b"event: figures\ndata: two\ndata: lines\n\n"


class Told:
    """What is to be seen at each look; the last stays. The clock goes on by a second a look."""

    def __init__(self, *seen: Seen | LedgerAway | None) -> None:
        self.seen = list(seen)
        self.looks = 0
        self.draining = asyncio.Event()

    async def look(self) -> Seen | None:
        now = self.seen[min(self.looks, len(self.seen) - 1)]
        self.looks += 1
        if self.looks == 8:
            self.draining.set()
        if isinstance(now, LedgerAway):
            raise now
        return now

    async def all(self, beat_s: float = 100) -> list[bytes]:
        first, *rest = [
            each
            async for each in changes(
                "it", self.look, self.draining, tick_s=0, beat_s=beat_s, clock=lambda: float(self.looks)
            )
        ]
        assert first == RETRY
        return rest


A, B = Seen(b"a"), Seen(b"b")
AWAY = LedgerAway("the path of a file")


async def test_it_is_told_at_once_and_on_each_change() -> None:
    assert await Told(A, A, B, B, A).all() == [event("it", each) for each in (b"a", b"b", b"a")]


async def test_what_is_not_there_yet_is_waited_for() -> None:
    assert await Told(None, None, A).all() == [event("it", b"a")]


async def test_away_is_said_once_and_then_it_goes_on() -> None:
    first, away, again = await Told(A, AWAY, AWAY, A).all()
    assert (first, again) == (event("it", b"a"), event("it", b"a"))
    assert away.startswith(b"event: away\ndata: {")
    assert b"the path" not in away


async def test_it_ends_with_what_it_tells_of() -> None:
    told = Told(A, Seen(b"b", ended=True), A)
    assert await told.all() == [event("it", b"a"), event("it", b"b"), event("end", b"b")]
    assert told.looks == 2


async def test_who_has_nothing_to_say_says_that_it_lives() -> None:
    assert await Told(A).all(beat_s=3) == [event("it", b"a"), b": still here\n\n", b": still here\n\n"]


# --- over ASGI --------------------------------------------------------------------------------------------------------


class Listener:
    """One GET that goes on: httpx's own transport waits for its end."""

    def __init__(self, app: Any, path: str) -> None:
        self.said: asyncio.Queue[bytes] = asyncio.Queue()
        self.status = 0
        self._gone = asyncio.Event()
        scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
        self.task = asyncio.create_task(app({**scope, "headers": []}, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["body"]:
            await self.said.put(message["body"])

    async def leave(self) -> None:
        self._gone.set()
        await self.task


@pytest.fixture
def streaming(outside: Outside) -> tuple[Any, asyncio.Event]:
    draining = asyncio.Event()
    return create_app(outside, bounds=Bounds(listeners=2), draining=draining), draining


async def test_a_case_is_told_of_until_it_has_ended(streaming: Any, standings: MemoryStatusStore) -> None:
    app, _ = streaming
    listener = Listener(app, f"/cases/{CASE}/events")
    assert await listener.said.get() == RETRY  # nobody has seen the case yet

    await standings.observe([admitted()])
    assert (await listener.said.get()).startswith(b'event: standing\ndata: {"case_id":"' + CASE.encode())
    await standings.observe([REJECTED])
    assert b'"end":"rejected"' in await listener.said.get()
    assert (await listener.said.get()).startswith(b"event: end\n")
    await listener.task


async def test_figures_are_looked_up_once_for_all_who_listen(
    streaming: Any, standings: MemoryStatusStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    published = standings.published

    async def counted() -> bytes | None:
        nonlocal looks
        looks += 1
        return await published()

    monkeypatch.setattr(standings, "published", counted)
    await standings.publish(b'{"at":1}')
    app, draining = streaming
    listeners = [Listener(app, "/figures/stream") for _ in range(2)]
    for listener in listeners:
        assert [await listener.said.get() for _ in range(2)] == [RETRY, event("figures", b'{"at":1}')]
    assert looks == 1

    draining.set()
    await asyncio.gather(*(listener.task for listener in listeners))


async def test_so_many_listen_at_once_and_who_leaves_makes_room(streaming: Any, standings: MemoryStatusStore) -> None:
    app, draining = streaming
    first, second = (Listener(app, "/figures/stream") for _ in range(2))
    for listener in (first, second):
        await listener.said.get()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        busy = await client.get("/figures/stream")
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
        assert "reasonmed_gateway_listeners 2.0" in (await client.get("/metrics")).text
        await first.leave()
        assert "reasonmed_gateway_listeners 1.0" in (await client.get("/metrics")).text

    third = Listener(app, "/figures/stream")
    assert await third.said.get() == RETRY
    draining.set()
    await asyncio.gather(second.task, third.task)
