"""Limits of HTTP connections: time and number.

uvicorn bounds a request's head in bytes (16 KiB), but neither its time (each byte stops the only timer) nor the number
of connections (its limit_concurrency answers everyone with 503 as soon as enough say nothing).
"""

import asyncio
from typing import cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_WITHIN_S = 10
"""Seconds from a connection's start, or from the last answer, to the end of the next request's head: a client has a
line and a few headers to send. It bounds connections that say nothing or that drip, and what a client still sends of a
body after its answer."""

READ_WITHIN_S = 10
"""Seconds for a client to read what is written to it, of 64 KiB that lie unread above what the kernel holds."""

CONNECTIONS = 512
"""Twice the questions that may be under way, batches, reads and streams of events; half of the 1,024 files that a
process may commonly open."""

BACKLOG = 128
"""Connections that asyncio takes in one go, before the first of them can be let go: the limit holds up to so many."""


class Connection(H11Protocol):
    """uvicorn's, and:

    - a head that isn't whole within HEAD_WITHIN_S (uvicorn's timeout_keep_alive) ends the connection;
    - one connection more than CONNECTIONS ends the one that has waited longest for a head: those that say nothing
      can't keep out those that do;
    - a client that doesn't read its responses within READ_WITHIN_S is disconnected.

    Streams of events and bodies of lines have no other limit here: the application has slots for them.
    """

    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: object) -> None:
        """Begin to wait for a head; above the limit, in another's place."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        if len(self.connections) > CONNECTIONS:
            waiting = [one for one in cast("set[Connection]", self.connections) if one.timeout_keep_alive_task]
            min(waiting, key=Connection._until).timeout_keep_alive_handler()

    def data_received(self, data: bytes) -> None:
        """As uvicorn does, but let the timer run on until a head is whole."""
        self.conn.receive_data(data)
        self.handle_events()

    def timeout_keep_alive_handler(self) -> None:
        """End the connection, whatever is still to be written."""
        self._unset_keepalive_if_required()
        self.transport.abort()

    def pause_writing(self) -> None:
        """64 KiB are unread: pause, for READ_WITHIN_S at most."""
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
