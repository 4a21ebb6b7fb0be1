"""Circuit breakers in memory."""

from services.ledger.memory.server import MemoryServer


class MemoryCircuits:
    """The port Circuits."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        self._open: dict[str, str] = {}

    async def why(self, service: str) -> str | None:
        self._server.now()
        return self._open.get(service)

    async def set(self, service: str, why: str | None) -> None:
        self._server.now()
        if why is None:
            self._open.pop(service, None)
        else:
            self._open[service] = why
