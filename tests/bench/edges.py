"""The stream before model servers that a benchmark has in hand: scripted servers, alone behind a proxy or as a pool."""

import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import aiohttp
import httpx
import orjson
from aiohttp import web

from services.contracts.question import Question
from services.contracts.recipe import Recipe
from services.local.processes.ports import free_ports
from services.local.processes.process import Process, until
from services.recipes import load
from tests.chaos.questions import questions
from tests.kafka.stream import PROJECT, Stream, running, submission
from tests.kafka.tap import http

NAMES = PROJECT / "tests" / "names"
STAGES = ("generator", "verifier", "refiner-medium", "refiner-difficult", "summarizer")
WORKERS = ("router-1", *(f"{stage}-{number}" for stage in STAGES for number in (1, 2)))
"""Two of each stage that calls models."""

KNOWN = 2_000
"""Questions that the scripted servers know."""

Answer = Callable[[Mapping[str, str]], web.Response | None]
"""What a proxy answers itself to a request with these headers; None: it passes the request on."""


@dataclass(frozen=True)
class Passed:
    """A call that went through the proxy."""

    at: float
    ended: float
    status: int
    stage: str
    call_id: str
    case_id: str


def bad_gateway(_: Mapping[str, str]) -> web.Response:
    """What nginx answers while its server is down."""
    page = "<html><head><title>502 Bad Gateway</title></head><body><hr><center>nginx</center></body></html>"
    return web.Response(status=502, text=page, content_type="text/html")


class Proxy:
    """An HTTP proxy before one server. `answer` decides what it answers itself."""

    def __init__(self, port: int, server: str) -> None:
        self.answer: Answer = lambda _: None
        self.passed: list[Passed] = []
        self.in_flight = 0
        self._port = port
        self._server = server

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Proxy"]:
        """Listens until the end of the block."""
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/v1/chat/completions", self._pass)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self._port, backlog=4_096).start()
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as self._session:
            try:
                yield self
            finally:
                await runner.cleanup()

    def replied(self, since: float, until: float, stage: str = "generate") -> int:
        """Whole replies to calls of a stage in this time."""
        return sum(since <= one.ended < until and one.status == 200 and one.stage == stage for one in self.passed)

    async def _pass(self, request: web.Request) -> web.Response:
        began = time.time()
        self.in_flight += 1
        try:
            response = self.answer(request.headers) or await self._forward(request)
        finally:
            self.in_flight -= 1
        call_id = request.headers["X-Request-Id"].partition(".")[0]
        stage, case_id = request.headers["X-Stage"], request.headers["X-Case-Id"]
        self.passed.append(Passed(began, time.time(), response.status, stage, call_id, case_id))
        return response

    async def _forward(self, request: web.Request) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name.startswith(("X-", "Content-Type"))}
        data = await request.read()
        async with self._session.post(f"{self._server}/v1/chat/completions", data=data, headers=headers) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")


class Pool:
    """Scripted servers at 127.0.0.1, .2, ... at one port, and the name that has some of these addresses."""

    def __init__(self, folder: Path, port: int, options: Sequence[str], known: Path) -> None:
        self.port = port
        self.names = folder / "names"
        self._folder = folder
        self._options = [*options, "--seed", "1", "--questions", str(known)]
        self._stack = AsyncExitStack()

    def log(self, number: int) -> list[dict[str, object]]:
        """A server's log, without a line that is being written."""
        whole = (self._folder / f"server-{number}.jsonl").read_bytes().rpartition(b"\n")[0]
        return [orjson.loads(line) for line in whole.splitlines()]

    async def start(self, servers: int) -> None:
        """Start the servers 1 to `servers`; no name has them yet."""
        for number in range(1, servers + 1):
            url = f"http://127.0.0.{number}:{self.port}"
            argv = [sys.executable, "-m", "services.llm.scripted", "--host", f"127.0.0.{number}"]
            argv += ["--port", str(self.port), "--log", str(self._folder / f"server-{number}.jsonl"), *self._options]
            log = self._folder / f"server-{number}.log"
            await self._stack.enter_async_context(
                Process(f"server-{number}", argv, log=log, cwd=PROJECT, ready=lambda url=url: _answers(url))  # type: ignore[misc]
            )

    def name(self, *numbers: int) -> float:
        """Let the name have these servers' addresses from now on. Returns now."""
        self.names.write_text(" ".join(f"127.0.0.{number}" for number in numbers))
        return time.time()

    async def aclose(self) -> None:
        """Stop the servers."""
        await self._stack.aclose()


@dataclass(frozen=True)
class World:
    """The running stream and its model servers."""

    stream: Stream
    pool: Pool
    proxy: Proxy
    recipe: Recipe
    _numbers: Iterator[int]

    async def submit(self, count_of: int) -> list[Question]:
        """Submit so many new questions."""
        asked = [next(questions(1, first=next(self._numbers))) for _ in range(count_of)]
        await self.stream.submit(asked)
        return asked

    async def until_ended(self, asked: Sequence[Question], within_s: float = 3_000.0) -> None:
        """Wait until each has ended, however slow the machine is."""
        wanted = {submission(one).key.decode() for one in asked}
        seen = self.stream.tap.seen
        await self.stream.tap.until(
            lambda: wanted <= seen.ended_questions(),
            lambda: f"{len(wanted - seen.ended_questions())} of {len(wanted)} have not ended",
            within_s=within_s,
        )

    def dead(self) -> int:
        """Dead letters of all services."""
        return sum(len(messages) for topic, messages in self.stream.tap.messages.items() if topic.endswith("-dead"))

    def paths(self) -> list[dict[str, object]]:
        """The paths of all cases as they were generated, with the call of each."""
        cases = [orjson.loads(value) for value in self.stream.tap.values("paths-generated")]
        return [{"case_id": case["case_id"], **path} for case in cases for path in case["paths"]]


@asynccontextmanager
async def world(
    folder: Path,
    *options: str,
    servers: int = 1,
    max_calls: int = 64,
    proxied: bool = False,
    tree: Path = PROJECT,
    workers: Sequence[str] = WORKERS,
) -> AsyncIterator[World]:
    """Kafka, the servers (the first has the pool's name) and the workers. `options`: the servers'. `proxied`: the
    workers reach the first server through the proxy. `tree`: the folder whose code the workers run."""
    port, through = free_ports(2)
    recipe = load("default")
    known = folder / "questions.jsonl"
    known.write_bytes(b"".join(orjson.dumps(one.model_dump(mode="json")) + b"\n" for one in questions(KNOWN)))
    pool = Pool(folder, port, options, known)
    pool.name(1)
    proxy = Proxy(through, f"http://127.0.0.1:{port}")
    endpoint: dict[str, object] = {"base_url": f"http://127.0.0.1:{through}/v1", "max_calls": max_calls}
    if not proxied:
        endpoint |= {"base_url": f"http://models.pool.test:{port}/v1", "pool": "dns"}
    settings = {
        "REASONMED_MODELS": orjson.dumps(dict.fromkeys(recipe.models, endpoint)).decode(),
        "POOL_NAMES": str(pool.names),
        "PYTHONPATH": str(NAMES),
    }
    async with AsyncExitStack() as stack:
        stack.push_async_callback(pool.aclose)
        await pool.start(servers)
        await stack.enter_async_context(proxy.serving())
        stream = await stack.enter_async_context(
            running(folder, recipes=[recipe], servers={}, aliases={}, settings=settings)
        )
        await stream.start(*workers, tree=tree)
        yield World(stream, pool, proxy, recipe, count(1))


async def _answers(url: str) -> None:
    async def yes() -> bool:
        async with http(url) as client:
            try:
                return (await client.get("/health")).status_code == 200
            except httpx.TransportError:
                return False

    await until(yes, every=0.1)


def say(text: str) -> None:
    """A line of progress, to standard error."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()
