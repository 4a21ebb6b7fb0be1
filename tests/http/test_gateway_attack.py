"""The gateway's own process under attack, with no Kafka behind it: it bounds what each client costs, and goes on."""

import asyncio
import contextlib
import gzip
import os
import resource
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil
import pytest
import pytest_asyncio

from services.gateway.http.connections import BACKLOG, CONNECTIONS
from services.gateway.read.cases import LISTENERS
from services.local.processes.ports import free_ports
from services.local.processes.process import Process, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

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


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
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
            # What would go on without end doesn't keep it from ending.
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


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", KEYS)
async def test_any_of_the_keys_will_do(gateway: Gateway, key: str) -> None:
    answer = await gateway.client.post("/questions", content=b"{}", headers=JSON | {"authorization": f"bearer {key}"})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        b"",
        b"Bearer",
        b"Bearer the-first-key-of-tw",
        b"Bearer the-first-key-of-two-",
        b"Bearer THE-FIRST-KEY-OF-TWO",
        b"Bearer the-first-key-of-two, the-second+key/of~two==",
        b"Bearer \xff\xfe\xe9",
        b"Bearer " + b"x" * 10_000,
        b"Basic dGhlLWZpcnN0LWtleS1vZi10d28=",
        b"the-first-key-of-two",
    ],
)
async def test_without_a_key_nothing_is_taken(gateway: Gateway, authorization: bytes | None) -> None:
    headers = [(b"content-type", b"application/json")]
    headers += [(b"authorization", authorization)] if authorization is not None else []
    answer = await gateway.client.post("/questions", content=ROW, headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "API key" in answer.json()["error"]


@pytest.mark.parametrize(("path", "status"), [("/healthz", 200), ("/readyz", 503), ("/metrics", 200)])
async def test_operation_needs_no_key(gateway: Gateway, path: str, status: int) -> None:
    assert (await gateway.client.get(path)).status_code == status


async def test_nothing_is_shown_without_a_key(gateway: Gateway) -> None:
    paths = ("/figures", "/figures/stream", "/topics", "/cases", *(f"/cases/{CASE}{end}" for end in ENDS))
    assert [(await gateway.client.get(path)).status_code for path in paths] == [401] * 7
    with_key = [(await gateway.client.get(path, headers=BEARER)).status_code for path in ("/topics", "/cases")]
    assert with_key == [200, 200]


@pytest.mark.parametrize(
    "path", [f"/cases/../{CASE}", f"/cases/{CASE}%00", f"/cases/{CASE}'--", "/cases/" + "9" * 9_000]
)
async def test_what_is_no_case_is_not_looked_up(gateway: Gateway, path: str) -> None:
    assert (await gateway.client.get(path, headers=BEARER)).status_code in (404, 422)


@pytest.mark.parametrize(
    "path", ["/../settings.py", "/%2e%2e/settings.py", "/..%2f..%2f..%2fetc/passwd", "//etc/passwd", "/\0"]
)
async def test_the_dashboard_shows_its_own_files_only(gateway: Gateway, path: str) -> None:
    async with gateway.wire() as (reader, writer):
        writer.write(get(f"/dashboard{path}").replace(b"\0", b"%00"))
        assert (await reader.readline()).startswith(b"HTTP/1.1 404 ")


# --- what is no JSON, or no HTTP --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        ROW.decode().encode("utf-16"),
        ROW.decode().encode("utf-16-le"),
        b"\xef\xbb\xbf" + ROW,
        ROW.replace(b"this", b"th\xffs"),
        ROW.replace(b"this", b"th\xed\xa0\x80s"),
        ROW.replace(b"this", rb"th\ud800s"),
        ROW.replace(b"this", b"th\x00s"),
        ROW + b"\x00",
        ROW[:-1] + b',"n":NaN}',
        ROW[:-1] + b',"n":-Infinity}',
        ROW[:-1] + b',"n":' + b"9" * 200_000 + b"}",
        ROW[:-1] + b',"n":' + b'{"n":' * 40_000 + b"1" + b"}" * 40_001,
        ROW + ROW,
        gzip.compress(ROW, mtime=0),
    ],
)
async def test_what_is_no_json_is_told_so(gateway: Gateway, body: bytes) -> None:
    answer = await gateway.post(body)
    assert answer.status_code == 422
    assert answer.json()["fields"][0]["field"] == "body"


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, identity", "nonsense"])
async def test_what_is_compressed_is_not_unpacked(gateway: Gateway, encoding: str) -> None:
    answer = await gateway.post(gzip.compress(b"[" * 10_000_000), content_encoding=encoding)
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) + b"\r\n\r\n",
        b"GET /healthz\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        head("Content-Length: -1"),
        head("Content-Length: " + "9" * 5_000),
        head("Content-Length: 2", "Content-Length: 3") + b"{} ",
        head("Transfer-Encoding: gzip, chunked"),
        head("Transfer-Encoding: chunked") + b"no length\r\n{}\r\n0\r\n\r\n",
        head("X-Long: " + "x" * 1_000_000),
        head(*(f"X-{number}: many" for number in range(100_000))),
        b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: gateway\r\n\r\n",
    ],
)
async def test_what_is_no_http_ends_the_connection(gateway: Gateway, sent: bytes) -> None:
    async with gateway.wire() as (reader, writer):
        writer.write(sent)
        answer = await _to_the_end(reader)
    assert answer == b"" or b"HTTP/1.1 400 " in answer, answer[:100]


async def test_a_length_beside_chunks_smuggles_no_second_request(gateway: Gateway) -> None:
    hidden = b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n"
    sent = head("Connection: close", "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + hidden
    assert (await gateway.said(sent)).count(b"HTTP/1.1 ") == 1


async def test_what_goes_on_wrongly_after_its_answer_is_cut_off(gateway: Gateway) -> None:
    async with gateway.wire() as (reader, writer):
        writer.write(head("Transfer-Encoding: chunked", key=None))
        assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
        writer.write(b"no chunk\r\n\r\n")
        assert b"HTTP/1.1" not in await _to_the_end(reader)


async def test_an_upgrade_to_websocket_is_not_followed(gateway: Gateway) -> None:
    upgrade = (
        "Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n"
    )
    answer = await gateway.said(f"GET /questions HTTP/1.1\r\nHost: gateway\r\n{upgrade}\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 405 ")


# --- too much --------------------------------------------------------------------------------------------------------


async def test_a_length_beyond_the_bound_is_refused_before_its_body(gateway: Gateway) -> None:
    answer = await gateway.said(head("Content-Length: 10000000000"))
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_body_without_end_is_cut_off(gateway: Gateway) -> None:
    refused = await gateway.refused("too_large")
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    async with gateway.wire() as (_, writer):
        writer.write(head("Transfer-Encoding: chunked"))
        await _sent_until_the_end(writer, chunk)
    assert await gateway.refused("too_large") == refused + 1


async def who_does_not_read_its_answers(gateway: Gateway) -> None:
    async with gateway.wire() as (_, writer):  # an asyncio reader that nobody asks takes 128 KiB, then no more
        await _sent_until_the_end(writer, b"GET /openapi.json HTTP/1.1\r\nHost: gateway\r\n\r\n" * 100)


async def test_a_line_without_end_is_not_kept(gateway: Gateway) -> None:
    """40 MB without a newline, then a line; both are told of."""
    assert gateway.process.pid is not None
    process = psutil.Process(gateway.process.pid)
    before = process.memory_info().rss

    async def body() -> AsyncIterator[bytes]:
        for _ in range(640):
            yield b"x" * 65_536
        yield b"\n{}\n"

    headers = BEARER | {"content-type": "application/x-ndjson"}
    answer = await gateway.client.post("/questions", content=body(), headers=headers)
    long, empty, summary = map(orjson.loads, answer.content.splitlines())
    assert (answer.status_code, long["line"], empty["line"], summary["accepted_through"]) == (207, 1, 2, 2)
    assert process.memory_info().rss - before < 16 * 2**20


async def test_lines_that_are_all_wrong_end_where_the_answer_is_full(gateway: Gateway) -> None:
    """It is told while it still sends: what it sends on is read and dropped, so that it can read the answer."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"{}\n" * 1_000

    headers = BEARER | {"content-type": "application/x-ndjson"}
    answer = await gateway.client.post("/questions", content=body(), headers=headers)
    *lines, summary = answer.content.splitlines()
    assert answer.status_code == 413
    assert orjson.loads(summary)["refused"] == orjson.loads(summary)["accepted_through"] == len(lines)
    assert len(answer.content) > 4 * 2**20


async def test_so_many_listen_and_others_are_answered(gateway: Gateway) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(LISTENERS):
            reader, writer = await stack.enter_async_context(gateway.wire())
            writer.write(get("/figures/stream"))
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        busy = await gateway.client.get("/figures/stream", headers=BEARER)
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
        assert (await gateway.client.get("/topics", headers=BEARER)).status_code == 200

    async def left() -> bool:
        return "reasonmed_gateway_listeners 0.0" in (await gateway.client.get("/metrics")).text

    await until(left, every=0.05)


# --- too slow, too many -----------------------------------------------------------------------------------------------


async def test_who_is_slow_is_not_waited_for(gateway: Gateway) -> None:
    """All at once, for each takes as long as it may. Each ends, or pytest's own time-out ends the test."""
    lines = head("Transfer-Encoding: chunked", kind="application/x-ndjson")
    nothing, a_head, a_body, none_of_a_body, after_the_answer, question, a_line, _ = await asyncio.gather(
        gateway.said(),
        gateway.dripped(b"GET /healthz HTTP/1.1\r\nX-Slow: "),
        gateway.dripped(head("Content-Length: 1000")),
        gateway.said(head("Content-Length: 1000")),
        gateway.dripped(head("Content-Length: 1000", key=None)),
        gateway.post(ROW),
        gateway.said(lines + b"4\r\n{}\n{\r\n"),
        who_does_not_read_its_answers(gateway),
    )
    assert (nothing, a_head) == (b"", b"")
    assert a_body.startswith(b"HTTP/1.1 408 ")
    assert none_of_a_body.startswith(b"HTTP/1.1 408 ")
    assert after_the_answer.startswith(b"HTTP/1.1 401 ")
    assert a_line.startswith(b"HTTP/1.1 408 ")
    assert b'"accepted_through":1' in a_line
    # Kafka is away: the question was waited with, then not acknowledged.
    assert (question.status_code, question.headers["retry-after"]) == (503, "5")
    assert "case_id" not in question.text


async def test_a_thousand_who_say_nothing_do_not_keep_others_out(gateway: Gateway) -> None:
    assert gateway.process.pid is not None
    _, most = resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (FILES, most))
    process = psutil.Process(gateway.process.pid)
    before = process.memory_info().rss

    async with contextlib.AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(gateway.wire()) for _ in range(1_000)]
        async with httpx.AsyncClient(base_url=gateway.client.base_url, timeout=60) as other:
            assert (await other.get("/healthz")).status_code == 200
            assert (await other.post("/questions", content=b"{}", headers=BEARER | JSON)).status_code == 422

        assert process.num_fds() < CONNECTIONS + BACKLOG
        assert process.memory_info().rss - before < 64 * 2**20  # 64 KiB and more for each
        oldest, _ = silent[0]
        assert await oldest.read() == b""
