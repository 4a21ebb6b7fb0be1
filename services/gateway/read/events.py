"""Server-sent events: what changes, told as it changes."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import orjson
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from services.core.errors import Away
from services.gateway.http.metrics import Metrics

TICK_S = 0.5
"""Seconds between two looks."""

BEAT_S = 15.0
"""Seconds of silence after which a comment says that the stream lives: proxies give up after 30 to 60."""

RETRY = b"retry: 2000\n\n"
"""Milliseconds after which a browser connects again."""

MEDIA_TYPE = "text/event-stream"


@dataclass(frozen=True)
class Seen:
    """What there is to tell now."""

    data: bytes
    """JSON."""
    ended: bool = False
    """Nothing will change any more."""


Look = Callable[[], Awaitable[Seen | None]]
"""None: nothing yet. Raises Away."""


def event(name: str, data: bytes) -> bytes:
    """An event as it goes over the wire."""
    lines = b"".join(b"data: " + line + b"\n" for line in data.splitlines() or [b""])
    return b"event: " + name.encode() + b"\n" + lines + b"\n"


async def changes(
    name: str,
    look: Look,
    draining: asyncio.Event,
    *,
    tick_s: float = TICK_S,
    beat_s: float = BEAT_S,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[bytes]:
    """An event of this name at once and whenever what is seen has changed; `away` when it can't be looked at (then the
    latest again); `end` when it has ended, and that is the last. Ends with `draining` too."""
    yield RETRY
    told: Seen | str | None = None
    spoke = clock()
    while not draining.is_set():
        now = await _looked(look)
        if now is not None and now != told:
            told, spoke = now, clock()
            yield event("away", orjson.dumps({"error": now})) if isinstance(now, str) else event(name, now.data)
        if isinstance(now, Seen) and now.ended:
            yield event("end", now.data)
            return
        if clock() - spoke >= beat_s:
            spoke = clock()
            yield b": still here\n\n"
        await _pause(draining, tick_s)


class EventStream(StreamingResponse):
    """An answer of events, which nobody keeps or buffers; counted while it is open."""

    def __init__(self, events: AsyncIterator[bytes], metrics: Metrics) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, headers=headers, media_type=MEDIA_TYPE)
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Until the events end, or nobody listens any more."""
        with self._metrics.listeners.track_inprogress():
            await super().__call__(scope, receive, send)


async def _looked(look: Look) -> Seen | str | None:
    try:
        return await look()
    except Away:
        return "What is to be told can't be looked up now: it will be, as soon as it can."


async def _pause(draining: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await draining.wait()
    except TimeoutError:
        pass
