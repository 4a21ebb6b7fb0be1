"""The port to model servers: a real adapter (llm/dispatcher.py) and a fake (llm/fake.py)."""

from collections.abc import Sequence
from typing import Protocol

from services.core.ledger.calls import Answer, Request


class Models(Protocol):
    """All models, behind the call ledger."""

    async def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """Make these calls concurrently; returns one answer per request, in order. A call whose reply is in the ledger
        is not made again; a call leased by another owner is awaited. Waits while a model or the ledger is unavailable.
        Raises Draining if the process is shutting down and a call would have to start."""
        ...
