"""Leases and finished calls in Valkey."""

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence

from services.contracts.base import CallId
from services.contracts.case import Usage
from services.core.ledger.calls import Outcome
from services.core.ledger.ports import CallRow, Claim, Done, Elsewhere, Mine
from services.core.ledger.spending import Price
from services.ledger.encoding.outcomes import decode, decode_origin, encode
from services.ledger.valkey.scripts import REMEMBERED, Scripts, microseconds, seconds

PACKED_FROM = 200
"""Bytes: shorter ones would become longer."""


class ValkeyCalls:
    """The port Calls."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def claim(self, call_ids: Sequence[CallId], *, owner: str, lease_s: float) -> list[Claim]:
        answers = await self._scripts.run("claim", owner, microseconds(lease_s), *call_ids)
        return [_claim(answer, lease_s) for answer in answers]

    async def renew(self, call_ids: Sequence[CallId], *, owner: str, lease_s: float) -> list[bool]:
        answers = await self._scripts.run("renew", owner, microseconds(lease_s), *call_ids)
        return [bool(held) for held in answers]

    async def release(self, call_ids: Sequence[CallId], *, owner: str) -> None:
        await self._scripts.run("release", owner, *call_ids)

    async def complete(
        self, outcomes: Mapping[CallId, Outcome], *, owner: str, prices: Mapping[CallId, Price] | None = None
    ) -> list[Outcome]:
        by_call = prices or {}
        words: list[str | bytes] = []
        for call_id, outcome in outcomes.items():
            words += [
                call_id,
                packed(encode(outcome, by_call.get(call_id))),
                _charge(by_call.get(call_id), outcome.usage),
            ]
        answers = await self._scripts.run("complete", owner, *words)
        return [_outcome(held) if held else own for held, own in zip(answers, outcomes.values(), strict=True)]

    async def remember(self, found: Sequence[tuple[Price, Usage]]) -> None:
        sums: Counter[str] = Counter()
        for price, usage in found:
            counts = {"calls": 1, "prompt": usage.prompt, "completion": usage.completion, "cached": usage.cached}
            for name, value in {**counts, "nano_usd": price.nano_usd(usage)}.items():
                sums["\n".join((price.alias, price.stage, name))] += value
        for field, value in sums.items():
            await self._scripts.command("HINCRBY", REMEMBERED, field, value)


def call_row(call_id: CallId, value: bytes) -> CallRow:
    """A finished call from its value in the hash."""
    head, _, written = value.partition(b"\n")
    at, owner = head.decode().split(" ", 1)
    outcome = unpacked(written)
    return CallRow(call_id, owner, seconds(at), decode(outcome), decode_origin(outcome))


def packed(outcome: bytes) -> bytes:
    """An outcome as it is kept: all finished calls are in the server's memory, so their text is compressed."""
    return zlib.compress(outcome, level=1) if len(outcome) >= PACKED_FROM else outcome


def unpacked(written: bytes) -> bytes:
    """The outcome; an older one is JSON as it is."""
    return written if written.startswith(b"{") else zlib.decompress(written)


def _claim(answer: bytes | int, lease_s: float) -> Claim:
    if isinstance(answer, bytes):
        return Done(_outcome(answer))
    return Elsewhere(answer / 1e6) if answer else Mine(lease_s)


def _outcome(value: bytes) -> Outcome:
    return call_row(CallId(""), value).outcome


def _charge(price: Price | None, usage: Usage) -> str:
    if price is None:
        return ""
    tokens = (usage.prompt, usage.completion, usage.cached)
    return "\n".join(map(str, (price.alias, price.stage, price.case_id, *tokens, price.nano_usd(usage))))
