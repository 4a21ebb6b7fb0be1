"""A gateway process without Kafka, and clients for it."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio

from services.local.processes.ports import free_ports
from services.local.processes.process import Process, until

PROJECT = Path(__file__).parents[2]
KEYS = ["the-first-key-of-two", "the-second+key/of~two=="]
BEARER = {"authorization": f"Bearer {KEYS[0]}"}
JSON = {"content-type": "application/json"}
QUESTION: dict[str, Any] = {"question": "Which one?", "options": {"A": "this", "B": "that"}, "answer": "B"}
ROW = orjson.dumps(QUESTION)
ENDS = ("", "/story", "/events")
CASE = "case-" + "0" * 32
FILES = 1_024
"""What a process may commonly open."""


class Gateway:
    """The process, a polite client, and bare connections for the others."""

    def __init__(self, process: Process, port: int, client: httpx.AsyncClient) -> None:
        self.process = process
        self.port = port
        self.client = client

    async def post(self, body: bytes, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post("/questions", content=body, headers=BEARER | JSON | named)

    async def refused(self, reason: str) -> float:
        figures = (await self.client.get("/metrics")).text.splitlines()
        name = f'reasonmed_gateway_questions_refused_total{{reason="{reason}"}} '
        return sum(float(line.removeprefix(name)) for line in figures if line.startswith(name))

    @asynccontextmanager
    async def wire(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def said(self, *parts: bytes) -> bytes:
        """All that is answered to these bytes until the gateway ends the connection."""
        async with self.wire() as (reader, writer):
            writer.writelines(parts)
            return await reader.read()

    async def dripped(self, start: bytes) -> bytes:
        """All that is answered until the gateway ends a connection on which a byte comes again and again."""
        async with self.wire() as (reader, writer):
            writer.write(start)
            answer = asyncio.create_task(_to_the_end(reader))
            while not answer.done():
                writer.write(b"x")
                await asyncio.wait([answer], timeout=0.2)
            return answer.result()


async def _to_the_end(reader: asyncio.StreamReader) -> bytes:
    received = bytearray()
    with contextlib.suppress(ConnectionError):  # what is sent after the end is answered by a reset
        while chunk := await reader.read(65_536):
            received += chunk
    return bytes(received)


async def _sent_until_the_end(writer: asyncio.StreamWriter, again: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(again)
            await writer.drain()


def get(path: str) -> bytes:
    """The head of a GET."""
    return f"GET {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {KEYS[0]}\r\n\r\n".encode()


def head(*lines: str, key: str | None = KEYS[0], kind: str = "application/json") -> bytes:
    """The head of a POST of JSON, with these lines more."""
    all_lines = ["POST /questions HTTP/1.1", "Host: gateway", f"Content-Type: {kind}", *lines]
    if key:
        all_lines.append(f"Authorization: Bearer {key}")
    return "\r\n".join([*all_lines, "", ""]).encode()


@pytest_asyncio.fixture(name="gateway", loop_scope="module", scope="module")
async def gateway_fixture(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    (port,) = free_ports(1)
    env = {**os.environ, "PYTHONPATH": str(PROJECT), "REASONMED_PORT": str(port)}
    env |= {"REASONMED_KAFKA__BOOTSTRAP": "127.0.0.1:9", "REASONMED_GATEWAY__KEYS": orjson.dumps(KEYS).decode()}
    folder = tmp_path_factory.mktemp("gateway")
    env |= {"REASONMED_LEDGER": f"sqlite://{folder}/ledger.sqlite"}
    log = folder / "gateway.log"
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:

        async def alive() -> bool:
            try:
                return (await client.get("/healthz")).status_code == 200
            except httpx.TransportError:
                return False

        argv = [sys.executable, "-m", "services.gateway"]
        async with Process(
            "gateway", argv, log=log, env=env, cwd=PROJECT, ready=lambda: until(alive, every=0.05)
        ) as process:
            gateway = Gateway(process, port, client)
            yield gateway
            # Open streams and uploads don't keep it from draining.
            async with gateway.wire() as (listening, writer), gateway.wire() as (uploading, sender):
                writer.write(get(f"/cases/{CASE}/events"))
                sender.write(head("Transfer-Encoding: chunked", kind="application/x-ndjson") + b"3\r\n{}\n\r\n")
                await listening.readuntil(b"retry: ")
                assert (await client.get("/metrics")).is_success  # so the line has been read, too
                assert await process.terminate() == 0, process.log_tail()
                assert (await _to_the_end(listening)).endswith(b"0\r\n\r\n")
                answer = await _to_the_end(uploading)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b'"accepted_through":1' in answer
    written = log.read_text()
    assert "Traceback" not in written
    assert not [key for key in KEYS if key in written]


@pytest.fixture(autouse=True)
def still_alive(gateway: Gateway) -> Iterator[None]:
    """Whatever a test did, the process that it was done to is there."""
    yield
    assert gateway.process.running, gateway.process.log_tail()
