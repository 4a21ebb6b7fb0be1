"""Attempts in memory."""

from collections.abc import Sequence

from services.core.messages import Position
from services.ledger.memory.server import MemoryServer


class MemoryAttempts:
    """The port Attempts."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        self._attempts: dict[tuple[str, Position], dict[str, float]] = {}

    async def open_attempt(self, service: str, position: Position, *, owner: str) -> int:
        now = self._server.now()
        opened = self._attempts.setdefault((service, position), {})
        opened[owner] = now
        return len(opened) - 1

    async def close_attempt(self, service: str, position: Position, *, owner: str) -> None:
        self._server.now()
        self._attempts.get((service, position), {}).pop(owner, None)

    async def forget_attempts(self, service: str, position: Position) -> None:
        self._server.now()
        self._attempts.pop((service, position), None)

    async def owners(self, service: str, position: Position) -> Sequence[str]:
        self._server.now()
        return list(self._attempts.get((service, position), ()))

    def prune(self, cutoff: float) -> None:
        """Drop messages whose latest attempt is older."""
        self._attempts = {
            key: opened for key, opened in self._attempts.items() if max(opened.values(), default=0) >= cutoff
        }
