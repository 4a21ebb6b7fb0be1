"""Attempts in Valkey."""

from collections.abc import Sequence

from services.contracts.codec import canonical, loads
from services.core.messages import Position
from services.ledger.valkey.scripts import ATTEMPTS, Scripts


class ValkeyAttempts:
    """The port Attempts."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def open_attempt(self, service: str, position: Position, *, owner: str) -> int:
        others: int = await self._scripts.run("open_attempt", _message(service, position), owner)
        return others

    async def close_attempt(self, service: str, position: Position, *, owner: str) -> None:
        await self._scripts.run("close_attempt", _message(service, position), owner)

    async def forget_attempts(self, service: str, position: Position) -> None:
        await self._scripts.command("HDEL", ATTEMPTS, _message(service, position))

    async def owners(self, service: str, position: Position) -> Sequence[str]:
        opened: bytes | None = await self._scripts.command("HGET", ATTEMPTS, _message(service, position))
        # As lua/prelude.lua writes it: the latest time, a blank, JSON by owner.
        return [] if opened is None else list(loads(opened.partition(b" ")[2]))


def _message(service: str, position: Position) -> bytes:
    return canonical([service, position.topic, position.partition, position.offset])
