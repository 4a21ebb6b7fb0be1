"""Reports on models in memory."""

from collections.abc import Mapping, Sequence

from services.core.ledger.reports import ModelReport, worst
from services.ledger.memory.server import MemoryServer


class MemoryReports:
    """The port ModelReports."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        self._of: dict[str, tuple[float, Sequence[ModelReport]]] = {}

    async def report(self, owner: str, found: Sequence[ModelReport], *, for_s: float) -> None:
        self._of[owner] = self._server.now() + for_s, found

    async def reported(self) -> Mapping[str, ModelReport]:
        now = self._server.now()
        return worst([(owner, each) for owner, (until, found) in self._of.items() if until > now for each in found])
