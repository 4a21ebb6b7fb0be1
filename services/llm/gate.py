"""Permits to call one model at one endpoint: a queue before its servers. First come, first served."""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b

import structlog

from services.core.endpoint import Endpoint
from services.core.errors import Retry, Trouble
from services.core.holds import State
from services.core.ledger.calls import Request
from services.llm.client import CONNECT_S
from services.llm.server import Server
from services.llm.troubles import Reason

MARGIN_S = 10.0
"""Added to every deadline that says when a wait is overdue: a busy event loop is late before it stalls."""

LONG_REPLY = 32_768
"""Tokens of a long reply: within the time that it may take, some call of a server must end."""

PATIENCE_S = CONNECT_S + 1.0
"""A probe that isn't refused within this time has been accepted: no need to hold the calls until its reply is there.
Longer than connecting may take, so that a server that swallows packets isn't taken for one."""

_JUDGING = ("verify", "score")
"""Stages whose prompts share their first part within a case: they go to the server that has it in its prefix cache."""

_log = structlog.get_logger(__name__)

Probe = Callable[[Request, Server], Awaitable[None]]
"""Sends one token's worth of a call like this to the server. Raises what came of it (Trouble)."""


@dataclass(frozen=True, eq=False)
class Permit:
    """Leave to make one call, now."""

    server: Server
    sent_at: float


class Ticket(asyncio.Future[Permit]):
    """A place in the queue. Cancelling it gives the place up."""

    key: str = ""
    """What calls that should meet the same server have in common."""


@dataclass(frozen=True)
class Down:
    """A model that takes no calls."""

    for_s: float
    why: str
    reason: Reason


class Gate:
    """The permits of one served model at one endpoint."""

    def __init__(
        self, endpoint: Endpoint, alias: str, *, probe: Probe, jitter: random.Random, addresses: Sequence[str | None]
    ) -> None:
        """`addresses`: of a pool, as far as known; [None] for an endpoint that is one server."""
        self.endpoint = endpoint
        self.alias = alias
        self.no_server = "the pool's name has no address yet"
        """Why there is no server, while there is none."""
        self.servers: list[Server] = []
        self._probe = probe
        self._jitter = jitter
        self._queue: deque[Ticket] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._probes: dict[Server, asyncio.Task[None]] = {}
        """The latest probe of each server."""
        self._wake: asyncio.TimerHandle | None = None
        self._moved_at = self._empty_since = _now()
        self.set_addresses(addresses)

    @property
    def in_flight(self) -> int:
        """Calls in flight at its servers."""
        return sum(server.in_flight for server in self.servers)

    @property
    def limit(self) -> int:
        """How many calls its servers bear at once, as far as has been learnt."""
        return sum(server.limit.current for server in self.servers)

    def set_addresses(self, addresses: Sequence[str | None]) -> None:
        """The pool's servers now. One that is gone gets no calls any more; those in flight go on."""
        known = {server.address: server for server in self.servers}
        for address, server in known.items():
            server.is_leaving = address not in addresses
        self.servers = [
            known.get(address) or Server(self.endpoint, self.alias, self._jitter, address) for address in addresses
        ]
        self._probes = {server: probe for server, probe in self._probes.items() if not server.is_leaving}
        if not self.servers and known:
            self._empty_since = _now()
        self._pump()

    def queue(self, request: Request, *, first: bool = False) -> Ticket:
        """Stand in line; `first`: at its head, as a call that a busy server refused. A permit must be given back, by
        `worked`, `failed` or `drop`."""
        ticket = Ticket(loop=asyncio.get_running_loop())
        if request.stage in _JUDGING:
            ticket.key = request.case_id
        if not self._queue:
            self._moved_at = _now()
        if first:
            self._queue.appendleft(ticket)
        else:
            self._queue.append(ticket)
        self._pump()
        return ticket

    def withdraw(self, ticket: Ticket) -> None:
        """Leave the line, or give back a permit that came just now and is not used."""
        if ticket.done() and not ticket.cancelled():
            self.drop(ticket.result())
            return
        ticket.cancel()
        with suppress(ValueError):  # already taken out of the line
            self._queue.remove(ticket)

    def worked(self, permit: Permit, request: Request) -> None:
        """The call came back well."""
        permit.server.worked(_now(), request.stage, sent_at=permit.sent_at)
        self.drop(permit)

    def failed(self, permit: Permit, request: Request, trouble: Trouble) -> None:
        """The call failed: learn from it."""
        permit.server.failed(_now(), request, trouble, sent_at=permit.sent_at)
        self.drop(permit)

    def doubt(self, server: Server, request: Request) -> asyncio.Future[None] | None:
        """No other call has ended since this one failed: a probe is the other call. It goes beside the calls in flight,
        and holds none of them. Returns the probe's end; None where there is none to wait for."""
        if server.circuit is None and not server.is_probed and not server.is_leaving:
            self._start_probe(server, request)
        probe = self._probes.get(server)
        return None if probe is None else asyncio.shield(probe)

    def drop(self, permit: Permit) -> None:
        """Give a permit back that taught nothing (not used, or its call was cancelled)."""
        permit.server.in_flight -= 1
        self._moved_at = _now()
        self._pump()

    def waiting(self) -> tuple[State, float]:
        """What those in line wait for, and within how many seconds something must move."""
        now = _now()
        closed = [server for server in self.servers if server.circuit is None]
        if closed:
            moves_by = max(
                self._moved_at + self.endpoint.timeout_for(LONG_REPLY), *(server.paused_until for server in closed)
            )
            return "permit", moves_by + MARGIN_S - now
        until = min((server.opens_at() for server in self.servers), default=now)
        return "away", max(until - now, 0.0) + PATIENCE_S + MARGIN_S

    def down(self) -> Down | None:
        """Since when and why no calls are made; None while they are."""
        now = _now()
        if not self.servers:
            return Down(now - self._empty_since, self.no_server, "unreachable")
        circuits = [server.circuit for server in self.servers if server.circuit is not None and server.circuit.probes]
        if len(circuits) < len(self.servers):
            return None
        last = max(circuits, key=lambda circuit: circuit.since)
        return Down(now - last.since, last.why, last.reason)

    async def close(self) -> None:
        """End the probes."""
        if self._wake is not None:
            self._wake.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _pump(self) -> None:
        """Give out what can be given."""
        now = _now()
        while self._queue:
            ticket = self._queue[0]
            server = None if ticket.done() else self._choose(ticket.key, now)
            if server is None and not ticket.done():
                break
            self._queue.popleft()
            if server is not None:
                ticket.set_result(self._grant(server, now))
        if self._queue or self.in_flight:
            self._see_to_servers(now)

    def _choose(self, key: str, now: float) -> Server | None:
        """The server that the key belongs to, while it has room; else the least loaded."""
        if len(self.servers) == 1:
            return self.servers[0] if self.servers[0].has_room(now) else None
        if key:
            own = max(self.servers, key=lambda server: _weight(key, server), default=None)
            if own is not None and own.has_room(now):
                return own
        free = (server for server in self.servers if server.has_room(now))
        return min(free, key=lambda server: server.in_flight, default=None)

    def _grant(self, server: Server, now: float) -> Permit:
        server.in_flight += 1
        self._moved_at = now
        return Permit(server, sent_at=now)

    def _see_to_servers(self, now: float) -> None:
        """Probe those that are due, and look again when the next may be."""
        later: list[float] = []
        for server in self.servers:
            if server.circuit is not None and server.is_to_be_probed(now):
                self._start_probe(server, server.circuit.request)
            elif now < server.opens_at():
                later.append(server.opens_at())
        if later:
            if self._wake is not None:
                self._wake.cancel()
            self._wake = asyncio.get_running_loop().call_at(min(later), self._pump)

    def _start_probe(self, server: Server, request: Request) -> None:
        server.is_probed = True
        task = asyncio.create_task(self._run_probe(server, request))
        self._tasks.add(task)
        self._probes[server] = task
        task.add_done_callback(self._tasks.discard)

    async def _run_probe(self, server: Server, request: Request) -> None:
        sending = asyncio.ensure_future(self._probe(request, server))
        try:
            ended, _ = await asyncio.wait((sending,), timeout=PATIENCE_S)
            if not ended:  # accepted
                server.is_probed = False
                server.close(_now())
                self._pump()
            await self._learn(server, request, sending, is_late=not ended)
        finally:
            sending.cancel()

    async def _learn(self, server: Server, request: Request, sending: asyncio.Future[None], *, is_late: bool) -> None:
        try:
            await sending
            server.probe_worked(_now(), request.stage)
        except Trouble as trouble:
            if not is_late:
                server.probe_failed(_now(), request, trouble)
        except Exception as error:
            _log.error("a probe failed by a defect", alias=self.alias, error=type(error).__name__)
            server.probe_failed(_now(), request, Retry(f"a probe failed by a defect: {type(error).__name__}"))
        if not is_late:
            server.is_probed = False
        self._pump()


def _weight(key: str, server: Server) -> bytes:
    """Rendezvous hashing: a server that comes or goes moves its own share of the keys alone."""
    return blake2b(f"{key} {server.address}".encode(), digest_size=8).digest()


def _now() -> float:
    """The event loop's clock, in seconds: the one that its timers go by."""
    return asyncio.get_running_loop().time()
