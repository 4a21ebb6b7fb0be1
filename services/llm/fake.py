"""The port Models for unit tests of handlers: answers from a function, no ledger, no network."""

from collections.abc import Callable, Sequence

from services.core.ledger.calls import Answer, Outcome, Request


class ScriptedModels:
    """Answers each request by the given function, and records the requests in order."""

    def __init__(self, script: Callable[[Request], Outcome]) -> None:
        self._script = script
        self.asked: list[Request] = []

    async def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """See the port Models."""
        self.asked += requests
        return [Answer(request, self._script(request)) for request in requests]
