"""The gateway under attack: bodies too large, clients too slow or too many."""

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator

import httpx
import orjson
import psutil
import pytest

from services.gateway.http.connections import BACKLOG, CONNECTIONS
from services.gateway.read.cases import LISTENERS
from services.local.processes.process import until
from tests.http.gateway_process import (  # noqa: F401  fixtures
    BEARER,
    FILES,
    JSON,
    ROW,
    Gateway,
    _sent_until_the_end,
    gateway_fixture,
    get,
    head,
    still_alive,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]


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
    """40 MB without a newline, then a line; both are reported."""
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
    """The response comes while it still sends: the rest is read and dropped, so that it can read the answer."""

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


async def test_slow_clients_are_disconnected(gateway: Gateway) -> None:
    """All at once, for each takes as long as it may. Each ends, or pytest's own time-out ends the test."""
    lines = head("Transfer-Encoding: chunked", kind="application/x-ndjson")
    wires = asyncio.gather(
        gateway.said(),
        gateway.dripped(b"GET /healthz HTTP/1.1\r\nX-Slow: "),
        gateway.dripped(head("Content-Length: 1000")),
        gateway.said(head("Content-Length: 1000")),
        gateway.dripped(head("Content-Length: 1000", key=None)),
        gateway.said(lines + b"4\r\n{}\n{\r\n"),
    )
    said, question, _ = await asyncio.gather(wires, gateway.post(ROW), who_does_not_read_its_answers(gateway))
    nothing, a_head, a_body, none_of_a_body, after_the_answer, a_line = said
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
