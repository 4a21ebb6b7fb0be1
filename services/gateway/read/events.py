"""Server-sent events: a stream of changes, in FastAPI's own form."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from fastapi.sse import ServerSentEvent

from services.core.errors import Away

TICK_S = 0.5
"""Seconds between two reads of the store."""

RETRY_MS = 2_000
"""Milliseconds after which a browser reconnects."""

AWAY = "The status store does not answer; the stream continues when it does."


@dataclass(frozen=True)
class Seen:
    """The latest state of what a stream is about."""

    data: bytes
    """JSON."""
    ended: bool = False
    """It will not change any more."""


Look = Callable[[], Awaitable[Seen | None]]
"""None: nothing yet. Raises Away."""


async def changes(
    name: str, look: Look, draining: asyncio.Event, *, tick_s: float = TICK_S
) -> AsyncIterator[ServerSentEvent]:
    """An event of this name at once and on each change.

    `away` while `look` raises Away, and then the latest state again; `end` once it has ended, as the last event. The
    stream also ends with `draining`. FastAPI sends a comment after 15 s of silence, so that proxies keep it open.
    """
    yield ServerSentEvent(retry=RETRY_MS)
    sent: Seen | str | None = None
    while not draining.is_set():
        now = await _looked(look)
        if now is not None and now != sent:
            sent = now
            yield away_event() if isinstance(now, str) else event(name, now.data)
        if isinstance(now, Seen) and now.ended:
            yield event("end", now.data)
            return
        await _pause(draining, tick_s)


def event(name: str, data: bytes) -> ServerSentEvent:
    """An event whose data is JSON already."""
    return ServerSentEvent(event=name, raw_data=data.decode())


def away_event() -> ServerSentEvent:
    """The store does not answer."""
    return ServerSentEvent(event="away", data={"error": AWAY})


async def _looked(look: Look) -> Seen | str | None:
    try:
        return await look()
    except Away:
        return AWAY


async def _pause(draining: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await draining.wait()
    except TimeoutError:
        pass
