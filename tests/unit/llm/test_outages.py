"""A thousand calls through the dispatcher, in virtual time, while their server is away or refuses single prompts."""

import asyncio
import random

from services.core.endpoint import Endpoint
from services.core.errors import Reject, Retry
from services.core.holds import Holds
from services.core.ledger.calls import Failure, Reply
from services.ledger.memory.ledger import memory_ledger
from services.ledger.memory.server import MemoryServer
from services.llm.dispatcher import Dispatcher
from tests.unit.llm.conftest import reply_to


class Server:
    """Serves each call in 5 s."""

    def __init__(self) -> None:
        self.is_down = False
        self.refused: set[int] = set()
        self.served: list[float] = []
        self.sends = 0

    async def send(self, request, *, owner, attempt, address=None) -> Reply:
        self.sends += 1
        if self.is_down:
            raise Retry("HTTP 502: a proxy does not reach the server")
        if request.seed in self.refused and not attempt.startswith("probe."):
            raise Reject("HTTP 403: a content filter")
        await asyncio.sleep(5)
        if self.is_down:
            raise Retry("the connection broke")
        if not attempt.startswith("probe."):
            self.served.append(now())
        return reply_to(request)


def now() -> float:
    return asyncio.get_running_loop().time()


def dispatcher(server: Server) -> Dispatcher:
    clock = asyncio.get_running_loop().time
    return Dispatcher(
        server,
        memory_ledger(MemoryServer(clock)).calls,
        endpoints={"writer": Endpoint("http://model/v1", max_calls=64)},
        owner="one",
        holds=Holds(clock),
        jitter=random.Random(1),
    )


def test_72_seconds_of_502_fail_no_call_and_are_over_at_once(virtually, request_of):
    async def story() -> None:
        server = Server()
        async with dispatcher(server) as models:
            asking = asyncio.create_task(models.ask([request_of(number) for number in range(1_000)]))
            await asyncio.sleep(12)
            server.is_down, before = True, server.sends
            await asyncio.sleep(72)
            server.is_down, back = False, now()
            assert server.sends - before < 64 + 100, "those in flight, a few more, and the probes"
            answers = await asking
        assert all(isinstance(answer.outcome, Reply) for answer in answers)
        after = [at for at in server.served if at >= back]
        assert min(after) - back <= 30
        assert max(after) - back <= 30 + 1_000 / 64 * 5

    virtually(story())


def test_a_filter_that_refuses_ten_prompts_slows_no_other(virtually, request_of):
    async def story() -> None:
        took = {}
        for refused in (set(), set(range(0, 1_000, 100))):
            server = Server()
            server.refused = refused
            async with dispatcher(server) as models:
                began = now()
                answers = await models.ask([request_of(number) for number in range(1_000)])
                took[len(refused)] = max(server.served) - began
                failed = {a.request.seed for a in answers if isinstance(a.outcome, Failure)}
                assert failed == refused
        assert took[0] / took[10] >= 0.95

    virtually(story())
