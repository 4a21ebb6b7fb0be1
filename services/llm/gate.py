"""Permits for calls to one model at one endpoint: a FIFO queue of each lane before its servers."""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b

import structlog

from services.contracts.topics import LANES, Lane
from services.core.endpoint import Endpoint
from services.core.errors import Retry, Trouble
from services.core.holds import State
from services.core.lanes import BACKFILL_SHARE, Turns
from services.core.ledger.calls import Request
from services.llm.client import CONNECT_S
from services.llm.server import Server
from services.llm.troubles import Reason

MARGIN_S = 10.0
"""Seconds added to every deadline of a wait, as a busy event loop is late."""

LONG_REPLY = 32_768
"""Tokens of a long reply: within the time that it may take, some call of a server must end."""

PATIENCE_S = CONNECT_S + 1.0
"""Seconds after which a probe that is not refused counts as accepted, so that calls need not wait for its reply. Longer
than the connect time-out, so that a server that drops packets does not pass."""

_JUDGING = ("verify", "score")
"""Stages whose prompts share a prefix within a case: their calls go to the same server, for its prefix cache."""

_log = structlog.get_logger(__name__)

Probe = Callable[[Request, Server], Awaitable[None]]
"""Sends a one-token call like this to the server. Raises Trouble."""


@dataclass(frozen=True, eq=False)
class Permit:
    """Permission to make one call now."""

    server: Server
    sent_at: float


class Ticket(asyncio.Future[Permit]):
    """A place in the queue. Cancel it to leave the queue."""

    key: str = ""
    """The key of calls that should go to the same server."""


@dataclass(frozen=True)
class Down:
    """A model that accepts no calls."""

    for_s: float
    why: str
    reason: Reason


class Gate:
    """The permits of one served model at one endpoint."""

    def __init__(
        self,
        endpoint: Endpoint,
        alias: str,
        *,
        probe: Probe,
        jitter: random.Random,
        addresses: Sequence[str | None],
        backfill_share: float = BACKFILL_SHARE,
    ) -> None:
        """`addresses`: of a pool, as far as known; [None] for an endpoint that is one server. `backfill_share`: of the
        permits, while calls of both lanes wait."""
        self.endpoint = endpoint
        self.alias = alias
        self.no_server = "the pool's name has no address yet"
        """Why there is no server, while there is none."""
        self.servers: list[Server] = []
        self._probe = probe
        self._jitter = jitter
        self._queues: dict[Lane, deque[Ticket]] = {lane: deque() for lane in LANES}
        self._turns = Turns(backfill_share)
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
        """The sum of its servers' current concurrency limits."""
        return sum(server.limit.current for server in self.servers)

    def set_addresses(self, addresses: Sequence[str | None]) -> None:
        """Set the pool's current servers. A removed server gets no new calls; its calls in flight continue."""
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

    def queue(self, request: Request, *, lane: Lane = "live", first: bool = False) -> Ticket:
        """Join the lane's queue; `first`: at its head, for a call that a busy server refused. A permit must be returned
        with `worked`, `failed` or `drop`."""
        ticket = Ticket(loop=asyncio.get_running_loop())
        if request.stage in _JUDGING:
            ticket.key = request.case_id
        if not any(self._queues.values()):
            self._moved_at = _now()
        if first:
            self._queues[lane].appendleft(ticket)
        else:
            self._queues[lane].append(ticket)
        self._pump()
        return ticket

    def withdraw(self, ticket: Ticket) -> None:
        """Leave the queue, or return a permit that was just granted and is not used."""
        if ticket.done() and not ticket.cancelled():
            self.drop(ticket.result())
            return
        ticket.cancel()
        for queue in self._queues.values():
            with suppress(ValueError):  # of the other lane, or already removed
                queue.remove(ticket)

    def worked(self, permit: Permit, request: Request) -> None:
        """Return the permit of a call that succeeded."""
        permit.server.worked(_now(), request.stage, sent_at=permit.sent_at)
        self.drop(permit)

    def failed(self, permit: Permit, request: Request, trouble: Trouble) -> None:
        """Return the permit of a call that failed, and adapt limit and circuit."""
        permit.server.failed(_now(), request, trouble, sent_at=permit.sent_at)
        self.drop(permit)

    def doubt(self, server: Server, request: Request) -> asyncio.Future[None] | None:
        """Probe the server, since no other call has ended since this one failed. Calls in flight continue. Returns a
        future of the probe's end; None if there is no probe to wait for."""
        if server.circuit is None and not server.is_probed and not server.is_leaving:
            self._start_probe(server, request)
        probe = self._probes.get(server)
        return None if probe is None else asyncio.shield(probe)

    def drop(self, permit: Permit) -> None:
        """Return a permit without a result (not used, or its call was cancelled)."""
        permit.server.in_flight -= 1
        self._moved_at = _now()
        self._pump()

    def waiting(self) -> tuple[State, float]:
        """What the queue waits for, and the seconds within which it must progress."""
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
        """Since when and why no calls are accepted; None while they are."""
        now = _now()
        if not self.servers:
            return Down(now - self._empty_since, self.no_server, "unreachable")
        circuits = [server.circuit for server in self.servers if server.circuit is not None and server.circuit.probes]
        if len(circuits) < len(self.servers):
            return None
        last = max(circuits, key=lambda circuit: circuit.since)
        return Down(now - last.since, last.why, last.reason)

    async def close(self) -> None:
        """Cancel the probes."""
        if self._wake is not None:
            self._wake.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _pump(self) -> None:
        """Grant all permits that are available."""
        now = _now()
        while (lane := self._next_lane()) is not None:
            ticket = self._queues[lane][0]
            if (server := self._choose(ticket.key, now)) is None:
                break
            self._queues[lane].popleft()
            self._turns.took(lane)
            ticket.set_result(self._grant(server, now))
        if any(self._queues.values()) or self.in_flight:
            self._probe_due_servers(now)

    def _next_lane(self) -> Lane | None:
        """The lane whose turn it is, of those with a call that waits; without calls that were given up at its head."""
        for queue in self._queues.values():
            while queue and queue[0].done():
                queue.popleft()
        first = self._turns.first()
        return next((lane for lane in (first, *LANES) if self._queues[lane]), None)

    def _choose(self, key: str, now: float) -> Server | None:
        """The server for the key if it has room, else the least loaded one."""
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

    def _probe_due_servers(self, now: float) -> None:
        """Probe the servers that are due, and schedule the next check."""
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
    """The weight for rendezvous hashing: adding or removing a server moves only its share of the keys."""
    return blake2b(f"{key} {server.address}".encode(), digest_size=8).digest()


def _now() -> float:
    """The event loop's clock, in seconds."""
    return asyncio.get_running_loop().time()
