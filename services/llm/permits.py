"""Permits to call, by alias: a small gate over the policies of limit.py. First come, first served."""

import asyncio
import random
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from services.core.endpoint import Endpoint
from services.core.errors import ModelAway, Trouble
from services.core.holds import State
from services.llm.client import CONNECT_S
from services.llm.limit import Circuit, Limit
from services.llm.troubles import Busy, TimedOut

MARGIN_S = 10.0
"""Added to every deadline that says when a wait is overdue: a busy event loop is late before it stands still."""

LONG_REPLY = 32_768
"""Tokens of a long reply: within the time that it may take, some call of a server must end."""

PATIENCE_S = CONNECT_S + 1.0
"""A probe that isn't refused within this time has been accepted: no need to hold the others until its reply is there,
which can take minutes. Longer than connecting may take, so that a server that swallows packets isn't taken for one."""


@dataclass(frozen=True, eq=False)
class Permit:
    """Leave to make one call, now."""

    sent_at: float


Ticket = asyncio.Future[Permit]
"""A place in the queue. Cancelling it gives the place up."""


@dataclass(frozen=True)
class Down:
    """An alias that takes no calls."""

    for_s: float
    why: str


class Gate:
    """The permits of one alias."""

    def __init__(self, endpoint: Endpoint, jitter: random.Random) -> None:
        self._timeout_s = endpoint.timeout_for(LONG_REPLY)
        self._jitter = jitter
        self._queue: deque[Ticket] = deque()
        self._wake: asyncio.TimerHandle | None = None
        self._probe: Permit | None = None
        self._moved_at = 0.0
        self.limit = Limit.starting(endpoint.max_calls)
        self.circuit = Circuit()
        self.under_way = 0

    def queue(self) -> Ticket:
        """Stand in line. Whoever gets a permit must give it back, by `finish` or `drop`."""
        ticket: Ticket = asyncio.get_running_loop().create_future()
        if not self._queue:
            self._moved_at = _now()
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

    def finish(self, permit: Permit, trouble: Trouble | None) -> None:
        """The call has ended, with this trouble or none: learn from it."""
        used_up = self.under_way >= self.limit.current
        match trouble:
            case ModelAway():
                self._refused(permit, trouble)
            case TimedOut():
                self._strained(permit)
            case None:
                self.limit = self.limit.worked(used_up=used_up)
                self.circuit = self.circuit.worked(sent_at=permit.sent_at)
            case _:  # an answer, if a bad one: the server is there
                self.circuit = self.circuit.worked(sent_at=permit.sent_at)
        self.drop(permit)

    def drop(self, permit: Permit) -> None:
        """Give a permit back that taught nothing (not used, or its call was cancelled)."""
        self.under_way -= 1
        self._moved_at = _now()
        if self._probe is permit:
            self._probe = None
        self._pump()

    def waiting(self) -> tuple[State, float]:
        """What who stands in line waits for, and within how many seconds something must move."""
        now = _now()
        if self.circuit.is_open(now):
            return "away", max(self.circuit.until - now, 0.0) + PATIENCE_S + MARGIN_S
        return "permit", self._moved_at + self._timeout_s + MARGIN_S - now

    def down(self) -> Down | None:
        """Since when and why no calls are made; None while they are."""
        now = _now()
        if self.circuit.since is None or not self.circuit.is_open(now):
            return None
        return Down(for_s=now - self.circuit.since, why=self.circuit.why)

    def _refused(self, permit: Permit, away: ModelAway) -> None:
        busy = isinstance(away, Busy)
        self.circuit = self.circuit.refused(
            _now(),
            sent_at=permit.sent_at,
            why=str(away),
            retry_after=away.retry_after,
            busy=busy,
            jitter=self._jitter.random(),
        )
        if busy:
            self._strained(permit)

    def _strained(self, permit: Permit) -> None:
        self.limit = self.limit.strained(_now(), sent_at=permit.sent_at, under_way=self.under_way)

    def _pump(self) -> None:
        """Give out what can be given."""
        now = _now()
        while self._queue and self._has_room(now):
            ticket = self._queue.popleft()
            if not ticket.done():
                ticket.set_result(self._grant(now))
        if self._queue and now < self.circuit.until:
            self._pump_at(self.circuit.until)

    def _has_room(self, now: float) -> bool:
        if self.under_way >= self.limit.current or (self.circuit.since is not None and now < self.circuit.until):
            return False
        return not self.circuit.probing or self._probe is None

    def _grant(self, now: float) -> Permit:
        permit = Permit(sent_at=now)
        self.under_way += 1
        self._moved_at = now
        if self.circuit.probing:
            self._probe = permit
            asyncio.get_running_loop().call_later(PATIENCE_S, self._accept, permit)
        return permit

    def _accept(self, probe: Permit) -> None:
        if self._probe is probe:
            self._probe = None
            self.circuit = self.circuit.worked(sent_at=probe.sent_at)
            self._pump()

    def _pump_at(self, when: float) -> None:
        if self._wake is not None:
            self._wake.cancel()
        self._wake = asyncio.get_running_loop().call_at(when, self._pump)


class Permits:
    """The gates of all aliases."""

    def __init__(self, endpoints: Mapping[str, Endpoint], jitter: random.Random) -> None:
        self._jitter = jitter
        self._gates = {alias: Gate(endpoint, jitter) for alias, endpoint in endpoints.items()}

    def gate(self, alias: str) -> Gate:
        """The alias's gate. One that no endpoint is set for gets a narrow one: its calls are away until it has."""
        gate = self._gates.get(alias)
        if gate is None:
            gate = self._gates[alias] = Gate(Endpoint(base_url="", max_calls=1), self._jitter)
        return gate

    def status(self) -> dict[str, Down]:
        """The aliases that take no calls now."""
        return {alias: down for alias, gate in self._gates.items() if (down := gate.down()) is not None}

    def limits(self) -> dict[str, int]:
        """How many calls may be under way now, by alias."""
        return {alias: gate.limit.current for alias, gate in self._gates.items()}


def _now() -> float:
    """The event loop's clock, in seconds: the one that its timers go by."""
    return asyncio.get_running_loop().time()
