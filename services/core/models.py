"""The port to every model server: a real adapter (llm/dispatcher.py) and a fake (llm/fake.py)."""

from collections.abc import Sequence
from typing import Protocol

from services.core.ledger.calls import Answer, Request


class Models(Protocol):
    """Every model, behind the call ledger."""

    async def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """Ask all of these at once; one answer a request, in order. A call that the ledger holds is not made again; one
        that runs elsewhere is waited for. Waits while a model or the ledger is away. Raises Draining once the process
        is going and a call would have to be started."""
        ...
