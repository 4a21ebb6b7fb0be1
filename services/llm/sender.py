"""Sends a call: waits for a permit, checks the lease, sends the request, and classifies failures."""

import asyncio
import random
from dataclasses import dataclass
from typing import assert_never

from services.core.errors import LedgerAway, ModelAway, Reject, Retry, Trouble
from services.core.holds import Holds
from services.core.ledger.calls import Failure, Outcome, Reply, Request
from services.core.ledger.ports import Mine
from services.llm import spans
from services.llm.client import Client
from services.llm.gate import MARGIN_S, PATIENCE_S, Gate, Permit
from services.llm.leases import Leases
from services.llm.pace import Pace, backoff
from services.llm.probe import one_token
from services.llm.running import Running
from services.llm.server import Server, Verdict
from services.llm.stats import Sent, Stats
from services.llm.troubles import Busy, TooLarge

FRESH_S = 0.25
"""Seconds after which a confirmed lease is claimed again before the call is sent. Longer than most waits for a permit,
and much shorter than a lost lease takes to be noticed."""

REFUSALS = 2
"""Refusals of a request while others succeed until its failure is final: a single one may come from a deploy."""

_TICK_S = 5.0
"""Seconds between updates of what a queued call waits for: a permit, or a server that is away."""


@dataclass(frozen=True)
class Mishap:
    """A send that failed."""

    server: Server
    at: float
    trouble: Trouble

    def verdict(self, call: Running) -> Verdict:
        """The cause of the failure, as far as known."""
        return self.server.verdict(call.request.stage, self.at)


class Sender:
    """Makes calls whose lease this process holds."""

    def __init__(
        self,
        client: Client,
        leases: Leases,
        *,
        holds: Holds,
        pace: Pace,
        jitter: random.Random,
        stats: Stats,
    ) -> None:
        self._client = client
        self._leases = leases
        self._holds = holds
        self._pace = pace
        self._jitter = jitter
        self._stats = stats
        self._process = f"{jitter.getrandbits(32):08x}"
        """Part of every attempt's id, so that ids of different processes differ."""
        self._probes = 0

    async def make(self, call: Running, gate: Gate) -> Outcome | None:
        """Make the call. Returns its outcome, or None if the lease may be lost and must be claimed again. Raises
        GivenUp."""
        mishap: Mishap | None = None
        while True:
            permit = await self._permit(call, gate, mishap)
            if isinstance(permit, Failure):
                return permit
            if not await self._is_surely_ours(call, gate, permit):
                gate.drop(permit)
                return None
            sent = await self._send(call, gate, permit)
            if not isinstance(sent, Mishap):
                return sent
            mishap = sent

    async def probe(self, request: Request, server: Server) -> None:
        """Send a one-token call. Raises Trouble."""
        self._probes += 1
        self._stats.probes[request.alias] += 1
        attempt = f"probe.{self._process}.{self._probes}"
        await self._client.send(one_token(request), owner=self._leases.owner, attempt=attempt, address=server.address)

    async def _permit(self, call: Running, gate: Gate, mishap: Mishap | None) -> Permit | Failure:
        """A permit for the call; or its failure, if its last send used up its tries."""
        if mishap is None:
            return await self._queue(call, gate, first=False)
        if isinstance(mishap.trouble, Busy):
            call.refusals += 1
            return await self._queue(call, gate, first=call.refusals < len(gate.servers))
        await self._back_off(call)
        verdict = mishap.verdict(call)
        if verdict == "unknown":
            await self._await_probe(call, gate, mishap)
            verdict = mishap.verdict(call)
        if verdict == "call" and (failure := self._count(call, mishap)) is not None:
            return failure
        return await self._queue(call, gate, first=False)

    async def _await_probe(self, call: Running, gate: Gate, mishap: Mishap) -> None:
        """Wait until a probe shows whether the server works; a probe that is accepted may take minutes."""
        probe = gate.doubt(mishap.server, call.request)
        if probe is not None:
            with self._holds.hold(what(call), "away", PATIENCE_S + MARGIN_S):
                call.check()
                await call.wait(probe, timeout=PATIENCE_S)

    def _count(self, call: Running, mishap: Mishap) -> Failure | None:
        """Count a failure that the call itself caused. Returns its final failure once its tries are used up."""
        if isinstance(mishap.trouble, ModelAway):  # nothing was sent, or the operator or a retry later fixes it
            return None
        call.failures += 1
        most = REFUSALS if isinstance(mishap.trouble, Reject) else 1 + self._pace.retries
        return Failure(f"gave up after {call.failures} tries: {mishap.trouble}") if call.failures >= most else None

    async def _back_off(self, call: Running) -> None:
        """Back off before the next send, long enough for another call to show whether the server works."""
        call.mishaps += 1
        wait = backoff(call.mishaps, self._pace.retry_first_s, self._pace.retry_most_s)
        with self._holds.hold(what(call), "away", wait + MARGIN_S):
            call.check()
            await call.sleep_until(_now() + wait * self._jitter.uniform(0.5, 1.0))

    async def _queue(self, call: Running, gate: Gate, *, first: bool) -> Permit:
        call.check()
        ticket = gate.queue(call.request, lane=call.lane, first=first)
        try:
            while not ticket.done():
                with self._holds.hold(what(call), *gate.waiting()):
                    await call.wait(ticket, timeout=_TICK_S)
            call.check()
        except BaseException:
            gate.withdraw(ticket)
            raise
        return ticket.result()

    async def _is_surely_ours(self, call: Running, gate: Gate, permit: Permit) -> bool:
        """Whether the ledger has just confirmed the lease. While the call waited, an earlier owner whose lease had
        expired may have written the reply, which ends our lease; the next renewal would notice too late."""
        if self._leases.left(call.call_id) > self._pace.lease_s - FRESH_S:
            return True
        try:
            with self._holds.hold(what(call), "away", self._pace.ledger_most_s + MARGIN_S):
                is_ours = isinstance(await self._leases.claim(call.call_id), Mine)
            call.check()
        except LedgerAway:
            return False
        except BaseException:
            gate.drop(permit)
            raise
        return is_ours

    async def _send(self, call: Running, gate: Gate, permit: Permit) -> Outcome | Mishap:
        """Send the call once."""
        alias = call.request.alias
        try:
            reply = await self._request(call, permit.server)
        except TooLarge as error:  # the server replied, so it works
            self._stats.sent[alias, "rejected"] += 1
            gate.worked(permit, call.request)
            return Failure(str(error), error.usage)
        except (ModelAway, Retry, Reject) as trouble:
            self._stats.sent[alias, _kind(trouble)] += 1
            gate.failed(permit, call.request, trouble)
            return Mishap(permit.server, _now(), trouble)
        except BaseException:
            self._stats.sent[alias, "cancelled"] += 1
            gate.drop(permit)
            raise
        self._stats.sent[alias, "replied"] += 1
        gate.worked(permit, call.request)
        return reply

    async def _request(self, call: Running, server: Server) -> Reply:
        request = call.request
        call.sends += 1
        attempt = f"{call.call_id}.{self._process}.{call.sends}"
        timeout_s = server.endpoint.timeout_for(request.sampling.max_tokens)
        begun = _now()
        self._stats.started[request.alias] += 1
        self._stats.under_way[request.alias] += 1
        self._stats.begun[attempt] = request.alias, request.stage, begun
        try:
            with (
                self._holds.hold(what(call), "calling", timeout_s + MARGIN_S),
                spans.sending(request, server.endpoint) as sending,
            ):
                reply = await self._client.send(
                    request, owner=self._leases.owner, attempt=attempt, address=server.address
                )
                sending.replied(reply)
                self._stats.seconds[request.alias, request.stage].add(_now() - begun)
                return reply
        finally:
            self._stats.under_way[request.alias] -= 1
            del self._stats.begun[attempt]


def what(call: Running) -> str:
    """The call in the register of what is held."""
    return f"{call.request.stage} {call.call_id}"


def _kind(trouble: ModelAway | Retry | Reject) -> Sent:
    match trouble:
        case ModelAway():
            return "away"
        case Retry():
            return "retry"
        case Reject():
            return "rejected"
        case _:
            assert_never(trouble)


def _now() -> float:
    return asyncio.get_running_loop().time()
