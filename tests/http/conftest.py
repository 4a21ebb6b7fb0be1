"""A model server on the loopback that misbehaves on demand."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from services.contracts.base import CaseId
from services.contracts.recipe import Model, Sampling
from services.core.ledger.calls import Request
from tests.http.faulty_server import faulty
from tests.http.scripted_process import Server

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()
        await asyncio.sleep(0)


@pytest.fixture
def served() -> Callable[[web.Application], Any]:
    """Serve an application; gives its base URL."""
    return serving


@pytest.fixture
def chat_app() -> Callable[[Handler], web.Application]:
    """An application of one handler at the chat endpoint."""

    def make(handler: Handler) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", handler)
        return app

    return make


@pytest.fixture
def request_of() -> Callable[..., Request]:
    def make(number: int = 0, **changes: Any) -> Request:
        request = Request(
            case_id=CaseId(f"case-{number:032x}"),
            stage="generate",
            alias="writer",
            model=Model(served="some-model"),
            prompt="A SECRET QUESTION",
            sampling=Sampling(temperature=0.7, max_tokens=100),
            seed=number,
        )
        return replace(request, **changes)

    return make


@pytest.fixture
def chat() -> Callable[..., bytes]:
    """A server's whole reply."""

    def make(text: str = "Yes.", **more: Any) -> bytes:
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return orjson.dumps({"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 2}, **more})

    return make


@pytest.fixture
def faulted_server(tmp_path: Path) -> Callable[..., Any]:
    """Serve a scripted server with a share of faults; gives its address and log."""
    return partial(faulty, serving, tmp_path)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(*options: str) -> Server:
        servers.append(Server(tmp_path, *options))
        return servers[-1]

    yield start
    for server in servers:
        server.end()
