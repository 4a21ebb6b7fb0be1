"""The state of one model server in this process: limit, circuit breaker, and results of recent calls.

The cause of a failed call follows from the other calls of the same server since. If they failed as well, or there were
none, the server is in doubt: the circuit opens, and a one-token probe decides. While probes fail, the server is away
and its calls are held. Once another call or the probe has succeeded, the cause is the call itself.
"""

import random
from dataclasses import dataclass, field, replace
from typing import Literal

import structlog

from services.core.endpoint import Endpoint
from services.core.errors import ModelAway, Trouble
from services.core.ledger.calls import Request
from services.llm.limit import Limit
from services.llm.pace import backoff
from services.llm.troubles import Busy, Reason, Refuses, TimedOut, reason_of

BACKOFF_FIRST_S = 0.5
BACKOFF_MOST_S = 5.0
"""Seconds between probes of a server that is away (rule 10), unless its Retry-After is longer."""

IN_A_ROW = 3
"""Consecutive failed calls of any kind that put the server in doubt before the first of them is retried. A false alarm
costs the time of one probe."""

Verdict = Literal["call", "server", "unknown"]
"""The cause of a failure. unknown: no other call has ended since."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Circuit:
    """An open circuit: only probes are sent."""

    since: float
    why: str
    reason: Reason
    request: Request
    """The call that failed; the probe has its form."""
    until: float
    """No probe before this time."""
    probes: int = 0
    """Failed probes. With 0, the server is only in doubt, and nothing is logged."""


@dataclass(eq=False)
class Server:
    """A server under one served model name. `address`: host:port where its pool's name has several; None: its URL."""

    endpoint: Endpoint
    alias: str
    jitter: random.Random
    address: str | None = None
    limit: Limit = field(init=False)
    circuit: Circuit | None = None
    in_flight: int = 0
    paused_until: float = 0.0
    """The time until which a busy server gets no calls."""
    is_leaving: bool = False
    """Whether its address has left the pool, so that it gets no new calls."""
    is_probed: bool = False
    _failed_in_a_row: int = 0
    _pauses: int = 0
    """Failed calls since the last success."""
    _back_at: float = float("-inf")
    """When it last came back; earlier failures belong to the outage."""
    _worked_at: dict[str, float] = field(default_factory=dict)
    """By stage: when a call last succeeded."""

    def __post_init__(self) -> None:
        self.limit = Limit.starting(self.endpoint.max_calls)

    def has_room(self, now: float) -> bool:
        """Whether it accepts a call now."""
        return self.in_flight < self.limit.current and self.circuit is None and now >= self.paused_until

    def is_to_be_probed(self, now: float) -> bool:
        """Whether its circuit is open, and a probe due."""
        return self.circuit is not None and not self.is_probed and not self.is_leaving and now >= self.circuit.until

    def opens_at(self) -> float:
        """The time at which it may have room or a probe is due."""
        return self.paused_until if self.circuit is None else self.circuit.until

    def verdict(self, stage: str, failed_at: float) -> Verdict:
        """The cause of a call's failure at that time. By stage, since requests of a stage have the same form: a server
        may refuse every schema but accept plain text."""
        if failed_at < self._back_at:
            return "server"
        return "call" if self._worked_at.get(stage, float("-inf")) > failed_at else "unknown"

    def worked(self, now: float, stage: str, *, sent_at: float) -> None:
        """A call succeeded; in_flight still includes it."""
        self._failed_in_a_row = self._pauses = 0
        self._worked_at[stage] = now
        self.limit = self.limit.worked(now, in_flight=self.in_flight)
        if self.circuit is not None and sent_at > self.circuit.since:
            self.close(now)

    def failed(self, now: float, request: Request, trouble: Trouble, *, sent_at: float) -> None:
        """A call failed; in_flight still includes it."""
        self._failed_in_a_row += 1
        match trouble:
            case Busy():
                self._busy(now, sent_at, trouble)
            case TimedOut():
                self.limit = self.limit.time_out(now, sent_at=sent_at)
            case _:
                pass  # no other trouble says anything about the limit
        if self.circuit is None and self._is_in_doubt(trouble):
            self.open(now, request, trouble)

    def open(self, now: float, request: Request, trouble: Trouble) -> None:
        """Put the server in doubt: no calls until a probe succeeds."""
        if self.circuit is None:
            asked = trouble.retry_after if isinstance(trouble, ModelAway) else None
            wait = max(self._backoff(1), asked or 0.0) if isinstance(trouble, ModelAway) else 0.0
            self.circuit = Circuit(now, str(trouble), reason_of(trouble), request, now + wait)

    def probe_failed(self, now: float, request: Request, trouble: Trouble) -> None:
        """The probe failed like the calls: the server is away, or misconfigured."""
        self.open(now, request, trouble)
        assert self.circuit is not None
        probes = self.circuit.probes + 1
        asked = trouble.retry_after if isinstance(trouble, ModelAway) else None
        until = now + max(self._backoff(probes + 1), asked or 0.0)
        why, reason = str(trouble), reason_of(trouble)
        if not self.circuit.probes or reason != self.circuit.reason:
            _log.warning("model takes no calls", alias=self.alias, server=self.name, reason=reason, why=why)
        self.circuit = replace(self.circuit, why=why, reason=reason, until=until, probes=probes)

    def probe_worked(self, now: float, stage: str) -> None:
        """The server works: earlier failures were caused by the calls themselves."""
        self._worked_at[stage] = now
        self.close(now)

    def close(self, now: float) -> None:
        """Close the circuit."""
        circuit, self.circuit = self.circuit, None
        self._failed_in_a_row = 0
        if circuit is not None and circuit.probes:
            self._back_at = now
            self.limit = self.limit.returned()
            _log.warning("model takes calls again", alias=self.alias, server=self.name)

    @property
    def name(self) -> str:
        """The address for logs, without other parts of the URL."""
        return self.address or self.endpoint.base_url.rpartition("@")[2].partition("?")[0]

    def _busy(self, now: float, sent_at: float, trouble: Busy) -> None:
        """Usually the lowered limit is enough: the next call waits until one has ended. Pause if it is not, or if the
        server refuses call after call with a Retry-After."""
        self.limit = self.limit.refuse(now, in_flight=self.in_flight)
        if self.limit.current >= self.in_flight and sent_at >= self.paused_until:
            self._pauses += 1
            self.paused_until = now + self._backoff(self._pauses)
        if trouble.retry_after is not None and self._failed_in_a_row >= IN_A_ROW:
            self.paused_until = max(self.paused_until, now + trouble.retry_after)

    def _is_in_doubt(self, trouble: Trouble) -> bool:
        """Without a connection: at once. For a full server: only when it has no calls in flight. Otherwise: after a few
        consecutive failures."""
        match trouble:
            case Busy():
                return self.in_flight == 1
            case Refuses():
                return self._failed_in_a_row >= IN_A_ROW
            case ModelAway():
                return True
            case _:
                return self._failed_in_a_row >= IN_A_ROW

    def _backoff(self, tries: int) -> float:
        return backoff(tries, BACKOFF_FIRST_S, BACKOFF_MOST_S) * (0.5 + self.jitter.random() / 2)
