"""A gateway as it is, on the loopback, before a stream that is all in memory."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import uvicorn
from pydantic import SecretStr

from services.contracts.codec import encode
from services.contracts.dead import DEAD_LETTER_HEADER
from services.contracts.recipe import Recipe
from services.core.messages import ConsumedRecord, OutgoingRecord, Position
from services.core.status.figures import Figures
from services.gateway.__main__ import Server
from services.gateway.app import Outside, create_app
from services.ledger.memory.ledger import memory_ledger
from services.ledger.memory.status import MemoryStatusStore
from services.local.processes.ports import free_ports
from services.monitor.events import case_event
from tests.browser.stories import Said


class World:
    """What was seen of cases, their messages, and figures; and a gateway before it that can be stopped and started."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self.standings = MemoryStatusStore()
        self.ledger = memory_ledger()
        self.recipes: dict[str, Recipe] = {}
        (self.port,) = free_ports(1)
        self._keys = [SecretStr(key) for key in keys]
        self._held: dict[Position, ConsumedRecord] = {}
        self._offsets: Counter[str] = Counter()
        self._running: tuple[uvicorn.Server, asyncio.Task[None]] | None = None

    @property
    def url(self) -> str:
        """Of the page."""
        return f"http://127.0.0.1:{self.port}/dashboard/"

    async def tell(self, story: Sequence[Said], began: float) -> None:
        """These messages were written, from this Unix time on."""
        for said in story:
            at = Position(said.topic, 0, self._offsets[said.topic])
            self._offsets[said.topic] += 1
            key = said.message.case_id.encode()  # type: ignore[attr-defined]  # each of them has one
            headers = {DEAD_LETTER_HEADER: encode(said.letter)} if said.letter else {}
            written_ms = int((began + said.after_s) * 1000)
            message = ConsumedRecord(at.topic, 0, at.offset, key, encode(said.message), headers, written_ms)
            self._held[at] = message
            await self.standings.observe([case_event(message)])

    async def publish(self, figures: Figures) -> None:
        """As the monitor does."""
        await self.standings.publish(figures.model_dump_json().encode())

    async def start(self) -> None:
        """Serve, on the port of before."""
        draining = asyncio.Event()
        outside = Outside(_Sink(), self._reachable, self.standings, self._read, self.ledger.books, self._recipe_of)
        app = create_app(outside, keys=self._keys, draining=draining)
        server = _Server(uvicorn.Config(app, port=self.port, log_config=None, lifespan="off", ws="none"), draining)
        task = asyncio.create_task(server._serve())  # without its handlers of signals, which are pytest's here
        self._running = server, task
        await server.up.wait()

    async def stop(self) -> None:
        """End every answer, and take no more connections."""
        if self._running is not None:
            server, task = self._running
            self._running = None
            server.should_exit = True
            await task

    async def _reachable(self) -> bool:
        return True

    async def _recipe_of(self, recipe_id: str) -> Recipe | None:
        return self.recipes.get(recipe_id)

    async def _read(self, positions: Sequence[Position]) -> list[ConsumedRecord]:
        return [self._held[at] for at in positions]


class _Server(Server):
    """Says when it is up."""

    def __init__(self, config: uvicorn.Config, draining: asyncio.Event) -> None:
        super().__init__(config, draining)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Set `up` afterwards."""
        await super().startup(sockets)
        self.up.set()


class _Sink:
    async def publish(self, messages: Sequence[OutgoingRecord]) -> None:
        """Accepts no questions."""


@asynccontextmanager
async def serving(world: World) -> AsyncIterator[World]:
    """Until the block ends."""
    await world.start()
    try:
        yield world
    finally:
        await world.stop()


def now() -> float:
    """Unix time."""
    return time.time()
