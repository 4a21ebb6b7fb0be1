"""Circuit breakers in Valkey."""

from services.ledger.valkey.scripts import CIRCUITS, PROBES, Scripts


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

    async def probe(self, service: str, turn_s: float) -> bool:
        key, ms = f"{PROBES}:{service}", max(1, round(1_000 * turn_s))
        return await self._scripts.command("SET", key, "1", "NX", "PX", ms) is not None

    async def probed(self, service: str, pause_s: float) -> None:
        await self._scripts.command("SET", f"{PROBES}:{service}", "1", "PX", max(1, round(1_000 * pause_s)))
