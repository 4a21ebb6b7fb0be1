"""Makes model calls through the call ledger: each call is made once for all callers, and none is lost.

A call is claimed in the ledger. If the ledger has its outcome, this is returned. If another process has the lease, the
dispatcher waits for it. Otherwise this process makes the call (services.llm.sender) and writes the outcome. All callers
get the outcome that the ledger has.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeVar, assert_never

import structlog

from services.contracts.case import Usage
from services.contracts.topics import Lane
from services.core.endpoint import Endpoint
from services.core.errors import Draining, LedgerAway
from services.core.holds import Holds
from services.core.ledger.calls import Answer, Outcome, Request
from services.core.ledger.ports import Calls, Done, Elsewhere, Mine
from services.core.ledger.spending import Price, price_of
from services.llm import spans
from services.llm.batches import Batches
from services.llm.client import Client
from services.llm.gate import MARGIN_S, Down
from services.llm.leases import Leases
from services.llm.pace import Pace, backoff, next_tick
from services.llm.pool import LookUp, look_up
from services.llm.running import GivenUp, Running
from services.llm.sender import Sender, what
from services.llm.servers import Servers
from services.llm.stats import Stats

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class Dispatcher:
    """The port Models. An async context manager: leaving it drains, waits for the calls in flight up to the pace's
    `drain_s`, cancels the rest and releases all leases."""

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
        look_up: LookUp = look_up,
    ) -> None:
        self.owner = owner
        self.stats = Stats()
        self._ledger = calls
        self._holds = holds
        self._pace = pace or Pace()
        jitter = jitter or random.Random()
        self._leases = Leases(calls, owner=owner, lease_s=self._pace.lease_s, stats=self.stats)
        self._sender = Sender(client, self._leases, holds=holds, pace=self._pace, jitter=jitter, stats=self.stats)
        self._servers = Servers(
            endpoints,
            probe=self._sender.probe,
            jitter=jitter,
            look_up=look_up,
            backfill_share=self._pace.backfill_share,
        )
        self._remembered: Batches[tuple[Price, Usage], None] = Batches(self._count_remembered)
        self._running: dict[str, Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._renewals: asyncio.Task[None] | None = None
        self._draining = False
        self._deadline = 0.0

    async def __aenter__(self) -> Self:
        self._renewals = asyncio.create_task(self._leases.keep())
        self._servers.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.drained()
        finally:
            await self._stop()

    def of(self, lane: Lane) -> "InLane":
        """The port Models for the cases of a lane."""
        return InLane(self, lane)

    async def ask(self, requests: Sequence[Request], *, lane: Lane = "live") -> list[Answer]:
        """See the port Models; a call that another caller has asked for stays in its lane. If a caller is cancelled,
        its calls in flight still complete into the ledger; its other calls are dropped unless another caller waits for
        them."""
        calls = self._join(requests, lane)
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
        """Start no more calls: a request that needs one raises Draining; calls in flight continue for up to the
        pace's `drain_s`, counted from now. Idempotent."""
        if not self._draining:
            self._draining = True
            self._deadline = _now() + self._pace.drain_s
        for call in self._running.values():
            call.drain()

    async def drained(self) -> None:
        """Drain, and wait until no call is in flight, or for as long as the drain may take."""
        self.drain()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=max(0.0, self._deadline - _now()))

    def expect(self, aliases: Collection[str]) -> list[str]:
        """Take the aliases that will be asked; replaces those taken before. Returns, sorted, those without an endpoint:
        `status` names them before their first call."""
        return self._servers.expect(aliases)

    def status(self) -> dict[str, Down]:
        """The aliases that accept no calls now, since when, and why."""
        return self._servers.status()

    def limits(self) -> dict[str, int]:
        """The current concurrency limit of each alias."""
        return self._servers.limits()

    def _join(self, requests: Sequence[Request], lane: Lane) -> dict[str, Running]:
        calls: dict[str, Running] = {}
        for request in requests:
            if request.call_id not in calls:
                calls[request.call_id] = self._running_call(request, lane)
        for call in calls.values():
            call.join()
        return calls

    def _running_call(self, request: Request, lane: Lane) -> Running:
        if (running := self._running.get(request.call_id)) is not None:
            self.stats.joined += 1
            return running
        call = self._running[request.call_id] = Running(request, lane=lane, is_draining=self._draining)
        task = asyncio.create_task(self._run(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return call

    async def _run(self, call: Running) -> None:
        """The task of a call: all waiters get its result or error."""
        try:
            with structlog.contextvars.bound_contextvars(call_id=call.call_id, case_id=call.request.case_id):
                call.succeed(await self._complete(call))
        except GivenUp:
            call.fail(_draining())
        except asyncio.CancelledError:
            call.fail(_draining())
            raise
        except Exception as error:
            call.fail(error)
        finally:
            del self._running[call.call_id]

    async def _complete(self, call: Running) -> Outcome:
        while True:
            try:
                return await self._settle(call)
            except GivenUp:
                await self._leases.release(call.call_id)
                if self._draining or call.waiters == 0:
                    raise
                # Another caller joined while the call was being dropped: start over.
            except Exception:
                await self._leases.release(call.call_id)
                raise

    async def _settle(self, call: Running) -> Outcome:
        while True:
            held = await self._claim(call)
            if held is not None:
                await self._remember(call.request, held)
                return held
            made = await self._sender.make(call, self._servers.gate(call.request))
            if made is not None:
                return await self._write(call, made)

    async def _remember(self, asked: Request, held: Outcome) -> None:
        """Count what was not paid again; while the ledger is away, only in this process. No error loses the outcome."""
        self.stats.remembered += 1
        spans.remembered(asked)
        try:
            await self._remembered.ask((_price(asked), held.usage))
        except LedgerAway:
            pass
        except Exception:
            _log.exception("counting a remembered call failed")

    async def _count_remembered(self, found: Sequence[tuple[Price, Usage]]) -> Sequence[None]:
        await self._ledger.remember(found)
        return [None] * len(found)

    async def _claim(self, call: Running) -> Outcome | None:
        """The outcome in the ledger; None if this process has the lease and makes the call."""
        while True:
            claim = await self._retry_ledger(lambda: self._leases.claim(call.call_id), call)
            match claim:
                case Done(outcome):
                    return outcome
                case Mine():
                    return None
                case Elsewhere(remaining_s):
                    with self._holds.hold(what(call), "lease", remaining_s + MARGIN_S):
                        call.check()
                        await call.sleep_until(next_tick(_now(), self._pace.poll_s))
                case _:
                    assert_never(claim)

    async def _write(self, call: Running, outcome: Outcome) -> Outcome:
        """Write the outcome, with retries, since it is paid for. Returns the outcome that the ledger has. An outcome
        that cannot be written before the drain deadline is logged by call id, and counted."""
        tries = 0
        try:
            while True:
                with self._holds.hold(what(call), "away", self._pace.ledger_most_s + MARGIN_S):
                    try:
                        return await self._write_once(call, outcome)
                    except LedgerAway:
                        tries += 1
                    except Exception:
                        tries += 1
                        if tries == 1:
                            _log.exception("writing a reply to the ledger failed; retrying")
                    await asyncio.sleep(backoff(tries, self._pace.ledger_first_s, self._pace.ledger_most_s))
        except asyncio.CancelledError:
            self.stats.replies_lost += 1
            _log.error("a paid reply could not be written to the ledger", alias=call.request.alias)
            raise

    async def _write_once(self, call: Running, outcome: Outcome) -> Outcome:
        asked = call.request
        prices = {call.call_id: _price(asked, sends=max(1, call.sends))}
        (held,) = await self._ledger.complete({call.call_id: outcome}, owner=self.owner, prices=prices)
        self._leases.ended(call.call_id)
        self.stats.ended(asked, outcome)
        return held

    async def _retry_ledger(self, work: Callable[[], Awaitable[T]], call: Running) -> T:
        """Retry while the ledger is away. Raises GivenUp."""
        tries = 0
        while True:
            with self._holds.hold(what(call), "away", self._pace.ledger_most_s + MARGIN_S):
                try:
                    return await work()
                except LedgerAway:
                    tries += 1
                call.check()
                await call.sleep_until(_now() + backoff(tries, self._pace.ledger_first_s, self._pace.ledger_most_s))

    async def _stop(self) -> None:
        stopping = [*self._tasks, *([self._renewals] if self._renewals is not None else [])]
        for task in stopping:
            task.cancel()
        await asyncio.gather(*stopping, return_exceptions=True)
        await self._servers.close()
        await self._leases.release_all()


class InLane:
    """The port Models: the dispatcher, with all calls in one lane."""

    def __init__(self, dispatcher: Dispatcher, lane: Lane) -> None:
        self._dispatcher = dispatcher
        self._lane: Lane = lane

    async def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """See the port Models."""
        return await self._dispatcher.ask(requests, lane=self._lane)


def _price(asked: Request, sends: int = 1) -> Price:
    return price_of(asked.model, case_id=asked.case_id, alias=asked.alias, stage=asked.stage, sends=sends)


def _draining() -> Draining:
    return Draining("the process is draining and starts no more calls")


def _now() -> float:
    return asyncio.get_running_loop().time()
