"""Virtual time, requests, and a client that tests hold in their hands."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from services.contracts.base import CaseId
from services.contracts.case import Usage
from services.contracts.recipe import Model, Sampling
from services.core.ledger.calls import Reply, Request
from tests.unit.llm.world import World

T = TypeVar("T")


_FOR_EVER_S = 50_000.0


class _Skip(selectors.DefaultSelector):
    """Waits for nothing: time that would have been waited for has passed."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and (timeout is None or self.skipped > _FOR_EVER_S):
            raise RuntimeError("the test waits for ever")
        if not ready and timeout:
            self.skipped += timeout + 1e-9
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer as soon as there is nothing else to do."""

    def __init__(self) -> None:
        self._skip = _Skip()
        super().__init__(self._skip)

    def time(self) -> float:
        return 1_000.0 + self._skip.skipped


@pytest.fixture
def virtually() -> Callable[[Coroutine[Any, Any, T]], T]:
    """Run a coroutine in virtual time."""

    def run(main: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(main)

    return run


@pytest.fixture
def request_of() -> Callable[..., Request]:
    """Make a request; each number is another call."""

    def make(number: int = 0, **changes: Any) -> Request:
        request = Request(
            case_id=CaseId(f"case-{number:032x}"),
            stage="generate",
            alias="writer",
            model=Model(served="some-model"),
            prompt=f"Question {number}",
            sampling=Sampling(temperature=0.7, max_tokens=100),
            seed=number,
        )
        return replace(request, **changes)

    return make


class HeldClient:
    """A client whose sends wait until the test says how they end."""

    def __init__(self) -> None:
        self.sent: list[Request] = []
        self.attempts: list[str] = []
        self.probed: list[Request] = []
        self.owners: set[str] = set()
        self.cancelled: list[str] = []
        self._open: list[tuple[Request, asyncio.Future[Reply]]] = []
        self.script: Callable[[Request], Reply | Exception] | None = None
        """Answers at once, where it is set."""
        self.probe: Callable[[Request], Reply | Exception] | None = None
        """Answers probes; without it, the script does, and without that, they work."""

    async def send(self, request: Request, *, owner: str, attempt: str, address: str | None = None) -> Reply:
        if attempt.startswith("probe."):
            return self._probed(request)
        self.sent.append(request)
        self.attempts.append(attempt)
        self.owners.add(owner)
        if self.script is not None:
            answer = self.script(request)
            if isinstance(answer, Exception):
                raise answer
            return answer
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._open.append((request, future))
        try:
            return await future
        except asyncio.CancelledError:
            self.cancelled.append(request.call_id)
            raise

    def _probed(self, request: Request) -> Reply:
        self.probed.append(request)
        script = self.probe or self.script or reply_to
        answer = script(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def reply(self, text: str = "", *, at: int = 0) -> None:
        request, future = self._open.pop(at)
        future.set_result(reply_to(request, text))

    def fail(self, error: Exception, *, at: int = 0) -> None:
        self._open.pop(at)[1].set_exception(error)


def reply_to(request: Request, text: str = "") -> Reply:
    return Reply(text or f"reply to {request.seed}", "stop", Usage(prompt=10, completion=5, cached=2))


@pytest.fixture
def client() -> HeldClient:
    return HeldClient()


@pytest.fixture
def reply_of() -> Callable[..., Reply]:
    return reply_to


@pytest.fixture
def living(virtually, client):
    """Run a story in virtual time."""

    def run(story) -> None:
        async def main() -> None:
            await story(World(client))

        virtually(main())

    return run
