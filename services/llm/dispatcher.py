"""Every model call, behind the call ledger: each is made once, whoever asks, and none is lost.

A call's way: claim it in the ledger; the ledger has it (done), another process makes it (wait), or it is ours: wait for
a permit, make sure of the lease, send, write what came into the ledger, and tell what the ledger then holds.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeVar, assert_never

import structlog

from services.core.endpoint import Endpoint
from services.core.errors import Draining, LedgerAway, ModelAway, Reject, Retry
from services.core.holds import Holds
from services.core.ledger.calls import Answer, Failure, Outcome, Reply, Request
from services.core.ledger.ports import Calls, Done, Elsewhere, Mine
from services.core.ledger.spending import price_of
from services.llm import spans
from services.llm.client import Client
from services.llm.leases import Leases
from services.llm.pace import Pace, backoff, next_tick
from services.llm.permits import MARGIN_S, Down, Gate, Permit, Permits
from services.llm.running import GivenUp, Running
from services.llm.stats import Stats
from services.llm.troubles import TooLarge

T = TypeVar("T")

FRESH_S = 0.25
"""A lease that the ledger confirmed so long ago is asked for again before the call is sent: hardly more often than a
call waits for its permit, and much sooner than a lost lease would be noticed."""

_TICK_S = 5.0
"""Who stands in line looks up so often, to say what it waits for: a permit, or an alias that is away."""


class Dispatcher:
    """The port Models. An async context manager: leaving it drains, waits for the calls under way up to the pace's
    `drain_s`, cancels the rest and gives all leases back."""

    def __init__(
        self,
        client: Client,
        calls: Calls,
        *,
        endpoints: Mapping[str, Endpoint],
        owner: str,
        holds: Holds,
        pace: Pace | None = None,
        jitter: random.Random | None = None,
    ) -> None:
        self.owner = owner
        self.stats = Stats()
        self._client = client
        self._ledger = calls
        self._endpoints = endpoints
        self._holds = holds
        self._pace = pace or Pace()
        self._jitter = jitter or random.Random()
        self._leases = Leases(calls, owner=owner, lease_s=self._pace.lease_s, stats=self.stats)
        self._permits = Permits(endpoints, self._jitter)
        self._running: dict[str, Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._renewals: asyncio.Task[None] | None = None
        self._draining = False
        self._deadline = 0.0

    async def __aenter__(self) -> Self:
        self._renewals = asyncio.create_task(self._leases.keep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drain()
        try:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=max(0.0, self._deadline - _now()))
        finally:
            await self._stop()

    async def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """See the port Models. A caller that is cancelled leaves its calls: one under way goes on into the ledger, one
        that isn't is given up, unless another caller waits for it."""
        calls = self._join(requests)
        if not calls:
            return []
        try:
            ended, _ = await asyncio.wait([call.ended for call in calls.values()], return_when=asyncio.FIRST_EXCEPTION)
            for outcome in ended:
                outcome.result()
        finally:
            for call in calls.values():
                call.leave()
        return [Answer(request, calls[request.call_id].ended.result()) for request in requests]

    def drain(self) -> None:
        """Start no call any more: what would have to start one raises Draining; calls under way go on. The pace's
        `drain_s` begins now. Called again, it changes nothing."""
        if not self._draining:
            self._draining = True
            self._deadline = _now() + self._pace.drain_s
        for call in self._running.values():
            call.give_up()

    def status(self) -> dict[str, Down]:
        """The aliases that take no calls now: for how long, and why."""
        return self._permits.status()

    def limits(self) -> dict[str, int]:
        """How many calls each alias bears now, as far as has been learnt."""
        return self._permits.limits()

    def _join(self, requests: Sequence[Request]) -> dict[str, Running]:
        calls: dict[str, Running] = {}
        for request in requests:
            if request.call_id not in calls:
                calls[request.call_id] = self._running_call(request)
        for call in calls.values():
            call.join()
        return calls

    def _running_call(self, request: Request) -> Running:
        if (running := self._running.get(request.call_id)) is not None:
            self.stats.joined += 1
            return running
        call = self._running[request.call_id] = Running(request)
        task = asyncio.create_task(self._live(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return call

    async def _live(self, call: Running) -> None:
        """A call's whole life; whatever happens, who waits is told."""
        try:
            with structlog.contextvars.bound_contextvars(call_id=call.call_id, case_id=call.request.case_id):
                call.succeed(await self._see_through(call))
        except GivenUp:
            call.fail(_draining())
        except asyncio.CancelledError:
            call.fail(_draining())
            raise
        except Exception as error:
            call.fail(error)
        finally:
            del self._running[call.call_id]

    async def _see_through(self, call: Running) -> Outcome:
        while True:
            try:
                return await self._settle(call)
            except GivenUp:
                await self._leases.release(call.call_id)
                if self._draining or call.waiters == 0:
                    raise
                # Someone asked for it while it was being given up: from the start.
            except Exception:
                await self._leases.release(call.call_id)
                raise

    async def _settle(self, call: Running) -> Outcome:
        while True:
            held = await self._claim(call)
            if held is not None:
                self.stats.remembered += 1
                spans.remembered(call.request)
                return held
            made = await self._make(call)
            if made is not None:
                return await self._write(call, made)

    async def _claim(self, call: Running) -> Outcome | None:
        """What the ledger holds; or none, and the call is ours to make."""
        while True:
            claim = await self._patiently(lambda: self._leases.claim(call.call_id), call)
            match claim:
                case Done(outcome):
                    return outcome
                case Mine():
                    return None
                case Elsewhere(remaining_s):
                    with self._holds.hold(_what(call), "lease", remaining_s + MARGIN_S):
                        self._go_on_if_wanted(call)
                        await call.sleep_until(next_tick(_now(), self._pace.poll_s))
                case _:
                    assert_never(claim)

    async def _make(self, call: Running) -> Outcome | None:
        """How the call ended; none if it is not surely ours any more, and must be claimed anew."""
        gate = self._permits.gate(call.request.alias)
        while True:
            permit = await self._permit(call, gate)
            if not await self._is_surely_ours(call, gate, permit):
                gate.drop(permit)
                return None
            outcome = await self._send(call, gate, permit)
            if outcome is not None:
                return outcome

    async def _is_surely_ours(self, call: Running, gate: Gate, permit: Permit) -> bool:
        """Whether the ledger said so a moment ago. While a call waited, an earlier owner that had lost its lease may
        have brought the reply after all: that ends ours, and the next renewal would be late to tell."""
        if self._leases.left(call.call_id) > self._pace.lease_s - FRESH_S:
            return True
        try:
            with self._holds.hold(_what(call), "away", self._pace.ledger_most_s + MARGIN_S):
                is_ours = isinstance(await self._leases.claim(call.call_id), Mine)
            self._go_on_if_wanted(call)
        except LedgerAway:
            return False
        except BaseException:
            gate.drop(permit)
            raise
        return is_ours

    async def _permit(self, call: Running, gate: Gate) -> Permit:
        self._go_on_if_wanted(call)
        ticket = gate.queue()
        try:
            while not ticket.done():
                with self._holds.hold(_what(call), *gate.waiting()):
                    await call.wait(ticket, timeout=_TICK_S)
            self._go_on_if_wanted(call)
        except BaseException:
            gate.withdraw(ticket)
            raise
        return ticket.result()

    async def _send(self, call: Running, gate: Gate, permit: Permit) -> Outcome | None:
        """Send it once. None: it is to be sent again (the model was away, or the call went wrong)."""
        alias = call.request.alias
        try:
            reply = await self._request(call)
        except ModelAway as error:
            self.stats.sent[alias, "away"] += 1
            gate.finish(permit, error)
            return None
        except Retry as error:
            self.stats.sent[alias, "retry"] += 1
            gate.finish(permit, error)
            return await self._after_mishap(call, error)
        except Reject as error:
            self.stats.sent[alias, "rejected"] += 1
            gate.finish(permit, error)
            return Failure(str(error), error.usage) if isinstance(error, TooLarge) else Failure(str(error))
        except BaseException:
            self.stats.sent[alias, "cancelled"] += 1
            gate.drop(permit)
            raise
        self.stats.sent[alias, "replied"] += 1
        gate.finish(permit, None)
        return reply

    async def _request(self, call: Running) -> Reply:
        request = call.request
        endpoint = self._endpoints.get(request.alias)
        timeout_s = endpoint.timeout_for(request.sampling.max_tokens) if endpoint is not None else 0.0
        self.stats.started[request.alias] += 1
        self.stats.under_way[request.alias] += 1
        try:
            with (
                self._holds.hold(_what(call), "calling", timeout_s + MARGIN_S),
                spans.sending(request, endpoint) as sending,
            ):
                reply = await self._client.send(request, owner=self.owner)
                sending.replied(reply)
                return reply
        finally:
            self.stats.under_way[request.alias] -= 1

    async def _after_mishap(self, call: Running, error: Retry) -> Failure | None:
        """Back off, and try again; or the last straw."""
        call.failures += 1
        if call.failures > self._pace.retries:
            return Failure(f"gave up after {call.failures} tries: {error}")
        wait = backoff(call.failures, self._pace.retry_first_s, self._pace.retry_most_s)
        with self._holds.hold(_what(call), "away", wait + MARGIN_S):
            self._go_on_if_wanted(call)
            await call.sleep_until(_now() + wait * self._jitter.uniform(0.5, 1.0))
        return None

    async def _write(self, call: Running, outcome: Outcome) -> Outcome:
        """Write the outcome until it is written: it has been paid for. Returns what the ledger holds."""
        asked = call.request
        price = {call.call_id: price_of(asked.model, case_id=asked.case_id, alias=asked.alias, stage=asked.stage)}
        (held,) = await self._patiently(
            lambda: self._ledger.complete({call.call_id: outcome}, owner=self.owner, prices=price), call, keep=True
        )
        self._leases.ended(call.call_id)
        self.stats.ended(call.request.alias, outcome)
        return held

    async def _patiently(self, work: Callable[[], Awaitable[T]], call: Running, *, keep: bool = False) -> T:
        """Ask the ledger until it answers. To `keep` on is not to be given up by anyone."""
        tries = 0
        while True:
            with self._holds.hold(_what(call), "away", self._pace.ledger_most_s + MARGIN_S):
                try:
                    return await work()
                except LedgerAway:
                    tries += 1
                wait = backoff(tries, self._pace.ledger_first_s, self._pace.ledger_most_s)
                if keep:
                    await asyncio.sleep(wait)
                else:
                    self._go_on_if_wanted(call)
                    await call.sleep_until(_now() + wait)

    def _go_on_if_wanted(self, call: Running) -> None:
        if self._draining or call.waiters == 0:
            raise GivenUp

    async def _stop(self) -> None:
        stopping = [*self._tasks, *([self._renewals] if self._renewals is not None else [])]
        for task in stopping:
            task.cancel()
        await asyncio.gather(*stopping, return_exceptions=True)
        await self._leases.release_all()


def _what(call: Running) -> str:
    return f"{call.request.stage} {call.call_id}"


def _draining() -> Draining:
    return Draining("the process is going and starts no call any more")


def _now() -> float:
    return asyncio.get_running_loop().time()
