"""The leases of this process: claimed and released in batches, renewed by one task."""

import asyncio
import logging
from collections.abc import Sequence

from services.contracts.base import CallId
from services.core.errors import LedgerAway
from services.core.ledger.ports import Calls, Claim, Mine
from services.llm.batches import Batches
from services.llm.stats import Stats

_AGAIN_S = 1.0
"""Seconds until a failed renewal is retried; a lease lasts for many retries."""

_log = logging.getLogger(__name__)


class Leases:
    """Leases on calls, by the local clock. Each is counted from before its last claim or renewal was requested, so it
    never ends later here than in the ledger."""

    def __init__(self, calls: Calls, *, owner: str, lease_s: float, stats: Stats) -> None:
        self.owner = owner
        self.lease_s = lease_s
        self._calls = calls
        self._stats = stats
        self._until: dict[CallId, float] = {}
        self._lost: set[CallId] = set()
        """Leases that were lost while their call is in flight; claimed again at each renewal, so that no other process
        repeats the call."""
        self._claims = Batches(self._claim)
        self._releases = Batches(self._release)

    async def claim(self, call_id: CallId) -> Claim:
        """Claim a call; claims made together are one transaction. Raises LedgerAway."""
        return await self._claims.ask(call_id)

    def left(self, call_id: CallId) -> float:
        """Seconds for which the lease is certainly valid; 0 or less if it may have expired."""
        return self._until.get(call_id, 0.0) - _now()

    async def release(self, call_id: CallId) -> None:
        """Release a lease, if it is held. If the ledger is away, it expires."""
        self._lost.discard(call_id)
        if self._until.pop(call_id, None) is not None:
            await self._releases.ask(call_id)

    def ended(self, call_id: CallId) -> None:
        """The call is complete, and its lease with it."""
        self._until.pop(call_id, None)
        self._lost.discard(call_id)

    async def keep(self) -> None:
        """Renew all leases until cancelled, three times within their duration. An unexpected error is logged and the
        next renewal tried, since a process without renewals would silently lose its calls."""
        pause = self.lease_s / 3
        while True:
            await asyncio.sleep(pause)
            try:
                await self._renew()
                await self._claim_lost()
                pause = self.lease_s / 3
            except LedgerAway:
                pause = min(_AGAIN_S, self.lease_s / 3)
            except Exception:
                _log.exception("renewing leases failed")

    async def release_all(self) -> None:
        """Release all leases, in one batch."""
        await self._claims.settle()
        held = list(self._until)
        self._until.clear()
        self._lost.clear()
        if held:
            await self._release(held)
        await self._releases.settle()

    async def _claim(self, call_ids: Sequence[CallId]) -> Sequence[Claim]:
        asked = _now()
        claims = await self._calls.claim(call_ids, owner=self.owner, lease_s=self.lease_s)
        for call_id, claim in zip(call_ids, claims, strict=True):
            if isinstance(claim, Mine):
                self._until[call_id] = asked + claim.lease_s
        return claims

    async def _renew(self) -> None:
        held = list(self._until)
        if not held:
            return
        asked = _now()
        renewed = await self._calls.renew(held, owner=self.owner, lease_s=self.lease_s)
        for call_id, ours in zip(held, renewed, strict=True):
            if call_id not in self._until:  # completed or released meanwhile
                continue
            if ours:
                self._until[call_id] = max(self._until[call_id], asked + self.lease_s)
            else:
                del self._until[call_id]
                self._lost.add(call_id)
                self._stats.leases_lost += 1

    async def _claim_lost(self) -> None:
        """Claim lost leases again. Calls that another process makes or has finished stay its own; the ledger keeps the
        first reply."""
        lost = list(self._lost)
        for call_id, claim in zip(lost, await self._claim(lost) if lost else [], strict=True):
            if not isinstance(claim, Mine):
                continue
            if call_id in self._lost:
                self._lost.discard(call_id)
            else:  # ended meanwhile
                await self.release(call_id)

    async def _release(self, call_ids: Sequence[CallId]) -> Sequence[None]:
        try:
            await self._calls.release(call_ids, owner=self.owner)
        except LedgerAway:
            _log.warning("%d leases could not be released; they expire", len(call_ids))
        return [None] * len(call_ids)


def _now() -> float:
    return asyncio.get_running_loop().time()
