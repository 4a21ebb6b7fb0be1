"""The circuit breaker: a burst of dead letters pauses the service, before a bad deploy dead-letters everything
(rule 13)."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from services.core.ledger.ports import Circuits

TURNS = 2
"""How many looks a process's turn to probe lasts: one that has no record by then leaves it to another."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class CircuitPolicy:
    """When the circuit opens, and how it is probed. Times in seconds."""

    burst: int = 20
    within_s: float = 60.0
    """`burst` dead letters within `within_s` open it; or `burst` in a row, however slowly they come."""
    probe_s: float = 30.0
    """Between two probes of an open circuit, by all processes of the service: one record; the circuit closes if that is
    no dead letter."""
    look_s: float = 3.0
    """Between two reads of the ledger: another worker, or a command, may have opened or closed it."""


class Circuit:
    """One service's circuit, as this process knows it; the ledger keeps it over restarts."""

    def __init__(self, service: str, *, circuits: Circuits, policy: CircuitPolicy, clock: Callable[[], float]) -> None:
        self._service = service
        self._circuits = circuits
        self._policy = policy
        self._clock = clock
        self._why: str | None = None
        self._known = False
        self._unwritten = False
        self._changes = 0
        self._in_a_row = 0
        self._dead: deque[float] = deque(maxlen=policy.burst)
        self._probe_at = 0.0
        """When to ask the ledger for the next probe."""
        self._turn_until = 0.0
        """Until then, the next probe is this process's."""
        self._probing = False
        """Whether a probe has begun that the ledger has not been told of."""
        self._decided = asyncio.Event()

    @property
    def why(self) -> str | None:
        """Why it is open; None while it is closed."""
        return self._why

    @property
    def known(self) -> bool:
        """Whether the ledger has been read since the start; before that, no record is taken."""
        return self._known

    def probe_due(self) -> bool:
        """Whether a record may be taken although the circuit is open."""
        return self._why is not None and self._clock() < self._turn_until

    def probe_begins(self) -> None:
        """A probe has begun: no other, by any process of the service, for `probe_s` seconds."""
        self._probe_at = self._clock() + self._policy.probe_s
        self._turn_until = 0.0
        self._probing = True
        self._decided.set()

    def dead(self) -> None:
        """Count a dead letter."""
        now = self._clock()
        self._dead.append(now)
        self._in_a_row += 1
        if self._why is not None or len(self._dead) < self._policy.burst:
            return
        if now - self._dead[0] <= self._policy.within_s:
            self._change(f"{self._policy.burst} dead letters within {now - self._dead[0]:.0f} s")
        elif self._in_a_row >= self._policy.burst:
            self._change(f"{self._in_a_row} dead letters in a row")

    def succeeded(self, *, probe: bool) -> None:
        """A record ended well: that ends a row of dead letters. A probe's closes the circuit."""
        self._in_a_row = 0
        if probe and self._why is not None:
            self._change(None)

    async def look(self) -> None:
        """Write a local change to the ledger, or else adopt the ledger's state; ask it for the next probe. Raises
        LedgerAway."""
        changes = self._changes
        self._decided.clear()
        if self._probing:
            await self._circuits.probed(self._service, self._policy.probe_s)
            self._probing = False
        if self._unwritten:
            await self._circuits.set(self._service, self._why)
            if changes == self._changes:
                self._unwritten = False
            return
        why = await self._circuits.why(self._service)
        if changes == self._changes:
            self._set(why)
        self._known = True
        if self._why is not None and self._clock() >= max(self._probe_at, self._turn_until):
            asked, turn_s = self._clock(), TURNS * self._policy.look_s
            if await self._circuits.probe(self._service, turn_s):
                self._turn_until = asked + turn_s

    async def time_to_look(self) -> None:
        """Return after `look_s` seconds, or at once after a local change, which must be written before the process
        ends."""
        try:
            async with asyncio.timeout(self._policy.look_s):
                await self._decided.wait()
        except TimeoutError:
            return

    def _change(self, why: str | None) -> None:
        self._changes += 1
        self._unwritten = True
        self._decided.set()
        self._set(why)

    def _set(self, why: str | None) -> None:
        if why == self._why:
            return
        log.warning("circuit closed" if why is None else "circuit opened", why=why)
        self._dead.clear()
        self._in_a_row = 0
        self._probe_at = self._clock() + self._policy.probe_s
        self._why = why
