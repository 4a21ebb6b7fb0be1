"""Server-sent events: which event when, heartbeats, disconnects, and the end of a stream."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi.sse import ServerSentEvent

from services.core.errors import LedgerAway
from services.core.messages import Position
from services.core.status.case_status import CaseEvent
from services.gateway.app import Bounds, Outside, create_app
from services.gateway.read.events import RETRY_MS, Seen, away_event, changes, event
from services.ledger.memory.status import MemoryStatusStore

CASE = "case-" + "a" * 32
WORK = "work-" + "a" * 32
RETRY = b"retry: 2000\n\n"
FIGURES = b'event: figures\ndata: {"at":1}\n\n'


def admitted(**changes: Any) -> CaseEvent:
    fields: dict[str, Any] = {"case_id": CASE, "work_id": WORK, "position": Position("question-admitted", 0, 0)}
    return CaseEvent(**{**fields, "written_ms": 1, **changes})


REJECTED = admitted(position=Position("case-rejected", 0, 0), end="rejected", why="nothing held")


class Script:
    """The state at each look; the last one repeats. Drains at the eighth."""

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

    async def all(self) -> list[ServerSentEvent]:
        first, *rest = [each async for each in changes("it", self.look, self.draining, tick_s=0)]
        assert first.retry == RETRY_MS
        return rest


A, B = Seen(b"a"), Seen(b"b")
AWAY = LedgerAway("the path of a file")


async def test_an_event_at_once_and_on_each_change() -> None:
    assert await Script(A, A, B, B, A).all() == [event("it", each) for each in (b"a", b"b", b"a")]


async def test_a_missing_state_is_waited_for() -> None:
    assert await Script(None, None, A).all() == [event("it", b"a")]


async def test_away_is_sent_once_and_then_the_state_again() -> None:
    first, away, again = await Script(A, AWAY, AWAY, A).all()
    assert (first, again) == (event("it", b"a"), event("it", b"a"))
    assert away == away_event()
    assert "the path" not in str(away)


async def test_the_stream_ends_with_its_subject() -> None:
    script = Script(A, Seen(b"b", ended=True), A)
    assert await script.all() == [event("it", b"a"), event("it", b"b"), event("end", b"b")]
    assert script.looks == 2


# --- over ASGI --------------------------------------------------------------------------------------------------------


class Listener:
    """One GET that stays open: httpx's own transport waits for its end."""

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


async def test_a_case_is_streamed_until_it_has_ended(streaming: Any, standings: MemoryStatusStore) -> None:
    app, _ = streaming
    listener = Listener(app, f"/cases/{CASE}/events")
    assert await listener.said.get() == RETRY  # nobody has seen the case yet

    await standings.observe([admitted()])
    assert (await listener.said.get()).startswith(b'event: standing\ndata: {"case_id":"' + CASE.encode())
    await standings.observe([REJECTED])
    assert b'"end":"rejected"' in await listener.said.get()
    assert (await listener.said.get()).startswith(b"event: end\n")
    await listener.task


async def test_figures_are_read_once_for_all_listeners(
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
        assert [await listener.said.get() for _ in range(2)] == [RETRY, FIGURES]
    assert looks == 1

    draining.set()
    await asyncio.gather(*(listener.task for listener in listeners))


async def test_listeners_are_limited_and_a_disconnect_frees_a_slot(
    streaming: Any, standings: MemoryStatusStore
) -> None:
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


async def test_a_silent_stream_sends_heartbeats(
    streaming: Any, standings: MemoryStatusStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastapi.routing._PING_INTERVAL", 0.01)
    app, draining = streaming
    listener = Listener(app, "/figures/stream")
    assert [await listener.said.get() for _ in range(3)] == [RETRY, b": ping\n\n", b": ping\n\n"]
    draining.set()
    await listener.task
