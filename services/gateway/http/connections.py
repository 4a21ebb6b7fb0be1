"""Limits of HTTP connections: time and number.

uvicorn limits a request's head in bytes (16 KiB), but neither its time (each byte stops the only timer) nor the number
of connections (with its limit_concurrency, enough idle connections make it answer all requests with 503).
"""

import asyncio
from typing import cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_WITHIN_S = 10
"""Seconds from a connection's start, or from the last response, to the end of the next request's head, which is a line
and a few headers. Limits idle and dripping connections, and the rest of a body after its response."""

READ_WITHIN_S = 10
"""Seconds for a client to read each 64 KiB of a response beyond the kernel's buffers."""

CONNECTIONS = 512
"""The most connections: twice the sum of concurrent questions, batches, reads and event streams; half of the usual
limit of 1,024 open files."""

BACKLOG = 128
"""Connections that asyncio accepts at once, by which the limit may be exceeded briefly."""


class Connection(H11Protocol):
    """uvicorn's, and:

    - a head that is incomplete after HEAD_WITHIN_S (uvicorn's timeout_keep_alive) ends the connection;
    - a connection beyond CONNECTIONS closes the one that has waited longest for a head, so that idle connections cannot
      keep out others;
    - a client that doesn't read its responses within READ_WITHIN_S is disconnected.

    Event streams and NDJSON bodies are limited by the application's slots instead.
    """

    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: object) -> None:
        """Start the timer for the head; above the limit, close another connection."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        if len(self.connections) > CONNECTIONS:
            waiting = [one for one in cast("set[Connection]", self.connections) if one.timeout_keep_alive_task]
            min(waiting, key=Connection._until).timeout_keep_alive_handler()

    def data_received(self, data: bytes) -> None:
        """As in uvicorn, but the timer runs until the head is complete."""
        self.conn.receive_data(data)
        self.handle_events()

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection, even with unsent data."""
        self._unset_keepalive_if_required()
        self.transport.abort()

    def pause_writing(self) -> None:
        """64 KiB are unread: pause for at most READ_WITHIN_S."""
        super().pause_writing()
        self._unread = self._unread or self.loop.call_later(READ_WITHIN_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._read()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._read()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP; after a response (a malformed body) only disconnect."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.abort()

    def _read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _until(self) -> float:
        return self.timeout_keep_alive_task.when() if self.timeout_keep_alive_task else float("inf")
