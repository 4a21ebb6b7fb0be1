"""Circuit breakers in memory."""

from services.ledger.memory.server import MemoryServer


class MemoryCircuits:
    """The port Circuits."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        self._open: dict[str, str] = {}
        self._probe_at: dict[str, float] = {}

    async def why(self, service: str) -> str | None:
        self._server.now()
        return self._open.get(service)

    async def set(self, service: str, why: str | None) -> None:
        self._server.now()
        if why is None:
            self._open.pop(service, None)
        else:
            self._open[service] = why

    async def probe(self, service: str, turn_s: float) -> bool:
        now = self._server.now()
        if now < self._probe_at.get(service, now):
            return False
        self._probe_at[service] = now + turn_s
        return True

    async def probed(self, service: str, pause_s: float) -> None:
        self._probe_at[service] = self._server.now() + pause_s
