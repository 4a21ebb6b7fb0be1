"""A scripted server with faults, its address and its log."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from services.contracts.recipe import Sampling
from services.core.endpoint import Endpoint
from services.core.errors import Trouble
from services.core.ledger.calls import Reply, Request
from services.llm.client import ChatClient
from services.llm.scripted import known
from services.llm.scripted.log import Log
from services.llm.scripted.script import Script
from services.llm.scripted.scripted_author import ScriptedAuthor
from services.llm.scripted.server import Latency, Load, ScriptedServer
from services.recipes import load

QUESTIONS = known.questions(known.SAMPLES)


CASE_ID = next(iter(QUESTIONS))


RECIPE = load("default")


LONG = Sampling(temperature=0.7, max_tokens=8_192)


class Playing:
    """A server, its address and its log."""

    def __init__(self, url: str, file) -> None:
        self.url = url.removesuffix("/v1")
        self.endpoint = Endpoint(url, timeout_s=10, max_calls=100)
        self._file = file

    def lines(self, event: str) -> list[dict[str, Any]]:
        lines = map(orjson.loads, self._file.read_bytes().splitlines())
        return [line for line in lines if line["event"] == event]

    async def control(self, method: str, body: bytes = b"") -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.url}/faults", data=body) as response,
        ):
            return response.status

    async def window(self, kind: str, **more: float) -> None:
        assert await self.control("POST", orjson.dumps({"kind": kind, "seconds": 600, **more})) == 204


@asynccontextmanager
async def faulty(served, folder: Path, fault_rate: float = 0.0) -> AsyncIterator[Playing]:
    """A scripted server that answers at once, with this share of its replies at fault."""
    file = folder / f"calls-{fault_rate}.jsonl"
    log = Log(file)
    script = Script(QUESTIONS, ScriptedAuthor(QUESTIONS, seed=1), seed=1)
    server = ScriptedServer(script, Load(100, Latency(0.0, 0.0)), log, seed=1, fault_rate=fault_rate)
    async with served(server.app()) as url:
        yield Playing(url, file)
    log.close()


async def outcomes(endpoint: Endpoint, requests: Sequence[Request]) -> list[Reply | Trouble]:
    async with ChatClient({"writer": endpoint}) as client:

        async def outcome(request: Request) -> Reply | Trouble:
            try:
                return await client.send(request, owner="x", attempt=request.call_id)
            except Trouble as trouble:
                return trouble

        return list(await asyncio.gather(*map(outcome, requests)))
