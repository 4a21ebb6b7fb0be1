"""Circuit breakers in Valkey."""

from services.ledger.valkey.scripts import CIRCUITS, Scripts


class ValkeyCircuits:
    """The port Circuits."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def why(self, service: str) -> str | None:
        why: bytes | None = await self._scripts.command("HGET", CIRCUITS, service)
        return None if why is None else why.decode()

    async def set(self, service: str, why: str | None) -> None:
        if why is None:
            await self._scripts.command("HDEL", CIRCUITS, service)
        else:
            await self._scripts.command("HSET", CIRCUITS, service, why)
