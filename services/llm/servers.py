"""All model servers of this process: a gate for each served model at each endpoint."""

import asyncio
import random
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain

from pydantic import SecretStr

from services.core.endpoint import Endpoint
from services.core.lanes import BACKFILL_SHARE
from services.core.ledger.calls import Request
from services.llm.gate import LONG_REPLY, Down, Gate, Probe
from services.llm.pool import LookUp, Pool

_Place = tuple[str, str | None, SecretStr | None]
"""Base URL, kind of pool and key identify a server or pool. A hosted API's limit belongs to the key."""


class Servers:
    """The gates, created on first use. Aliases of the same served model at the same endpoint share a gate; another
    model has another gate with a fresh state."""

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        *,
        probe: Probe,
        jitter: random.Random,
        look_up: LookUp,
        backfill_share: float = BACKFILL_SHARE,
    ) -> None:
        self._backfill_share = backfill_share
        self._endpoints = endpoints
        self._probe = probe
        self._jitter = jitter
        self._shared_endpoints = _shared(endpoints.values())
        self._pools = {_place(e): Pool(e, look_up) for e in endpoints.values() if e.pool == "dns"}
        self._gates: dict[tuple[_Place, str], Gate] = {}
        self._by_alias: dict[tuple[str, str], Gate] = {}
        self._missing: dict[str, float] = {}
        self._following: list[asyncio.Task[None]] = []

    def gate(self, request: Request) -> Gate:
        """The gate of the request's model. An alias without an endpoint has a gate without servers."""
        alias, served = request.alias, request.model.served
        gate = self._by_alias.get((alias, served))
        if gate is None:
            gate = self._by_alias[alias, served] = self._new_gate(alias, served)
        return gate

    def expect(self, aliases: Collection[str]) -> list[str]:
        """Take the aliases that will be asked; replaces those taken before. Returns, sorted, those without an endpoint:
        `status` names them before their first call."""
        missing = sorted(set(aliases) - self._endpoints.keys())
        self._missing = {alias: self._missing.get(alias, asyncio.get_running_loop().time()) for alias in missing}
        return missing

    def open(self) -> None:
        """Start the look-ups of pools."""
        self._following = [
            asyncio.create_task(pool.follow(lambda found, place=place: self._changed(place, found)))  # type: ignore[misc]
            for place, pool in self._pools.items()
        ]

    async def close(self) -> None:
        """Stop the look-ups and probes."""
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)
        for gate in self._all():
            await gate.close()

    def status(self) -> dict[str, Down]:
        """The aliases that accept no calls now."""
        now = asyncio.get_running_loop().time()
        missing = {a: Down(now - since, _no_endpoint(a), "unreachable") for a, since in self._missing.items()}
        downs = ((alias, gate.down()) for (alias, _), gate in self._by_alias.items())
        return missing | {alias: down for alias, down in downs if down is not None}

    def limits(self) -> dict[str, int]:
        """The current concurrency limit by alias."""
        limits = {alias: endpoint.max_calls for alias, endpoint in self._endpoints.items()}
        limits.update({alias: gate.limit for (alias, _), gate in self._by_alias.items()})
        return limits

    def _new_gate(self, alias: str, served: str) -> Gate:
        endpoint = self._endpoints.get(alias)
        if endpoint is None:
            gate = Gate(Endpoint(base_url=""), alias, probe=self._probe, jitter=self._jitter, addresses=[])
            gate.no_server = _no_endpoint(alias)
            return gate
        key = _place(endpoint), served
        if key not in self._gates:
            pool = self._pools.get(_place(endpoint))
            addresses = [None] if pool is None else pool.addresses
            self._gates[key] = Gate(
                self._shared_endpoints[key[0]],
                alias,
                probe=self._probe,
                jitter=self._jitter,
                addresses=addresses,
                backfill_share=self._backfill_share,
            )
        return self._gates[key]

    def _changed(self, place: _Place, addresses: list[str]) -> None:
        for (of, _), gate in self._gates.items():
            if of == place:
                gate.set_addresses(addresses)

    def _all(self) -> Iterator[Gate]:
        return chain(self._gates.values(), self._by_alias.values())


def _shared(endpoints: Iterable[Endpoint]) -> dict[_Place, Endpoint]:
    """One endpoint per server or pool; where aliases differ, with the most calls and the longest time-out."""
    shared: dict[_Place, Endpoint] = {}
    for one in endpoints:
        other = shared.get(_place(one), one)
        longest = max(one, other, key=lambda endpoint: endpoint.timeout_for(LONG_REPLY))
        shared[_place(one)] = replace(longest, max_calls=max(one.max_calls, other.max_calls))
    return shared


def _no_endpoint(alias: str) -> str:
    return f"no endpoint is set for the alias {alias}: add one to REASONMED_MODELS"


def _place(endpoint: Endpoint) -> _Place:
    return endpoint.base_url, endpoint.pool, endpoint.api_key
