"""The chat client against a real HTTP server, with each kind of trouble."""

import asyncio
import gzip
import socket
import struct
from email.utils import formatdate
from time import time

import orjson
import pytest
from aiohttp import web
from pydantic import SecretStr

from services.contracts.case import Usage
from services.core.endpoint import Endpoint
from services.core.errors import ModelAway, Reject, Retry, Trouble
from services.llm import wire
from services.llm.client import ChatClient
from services.llm.troubles import Busy, Refuses, TimedOut, TooLarge

KEY = "sk-very-secret-1234"


@pytest.fixture
def asking(served, chat_app, request_of):
    """Ask once a server that has this handler."""

    async def ask(handler, *, request=None, **endpoint):
        async with served(chat_app(handler)) as base_url:
            settings = {"api_key": SecretStr(KEY), "timeout_s": 5.0, **endpoint}
            async with ChatClient({"writer": Endpoint(base_url, **settings)}) as client:
                return await client.send(request or request_of(), owner="generator-1", attempt="call-1.a.1")

    return ask


@pytest.fixture
def trouble(asking):
    """The error that such a server leads to, which never quotes the key, the prompt, or the server."""

    async def of(handler, **how) -> Trouble:
        with pytest.raises(Trouble) as caught:
            await asking(handler, **how)
        error: BaseException | None = caught.value
        while error is not None:
            for secret in (KEY, "SECRET", "the server's words"):
                assert secret not in f"{error!s} {error!r}"
            error = error.__cause__
        return caught.value

    return of


def answering(status: int = 200, body: bytes = b"", **headers: str):
    async def handler(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=status, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return handler


async def test_a_call_as_the_server_sees_it(asking, request_of, chat):
    seen: list[web.Request] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request)
        assert orjson.loads(await request.read()) == orjson.loads(wire.body(request_of()))
        return web.Response(body=chat("Yes."))

    reply = await asking(handler)
    assert (reply.text, reply.usage) == ("Yes.", Usage(prompt=3, completion=2))
    (headers,) = [request.headers for request in seen]
    assert headers["X-Request-Id"] == "call-1.a.1"
    assert headers["X-Owner"] == "generator-1"
    assert headers["X-Stage"] == "generate"
    assert headers["X-Case-Id"] == request_of().case_id
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Content-Type"] == "application/json"


async def test_no_key_no_authorization(asking, chat):
    async def handler(request: web.Request) -> web.Response:
        assert "Authorization" not in request.headers
        return web.Response(body=chat())

    assert (await asking(handler, api_key=None)).text == "Yes."


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Refuses),
        (403, Reject),
        (404, Refuses),
        (429, Busy),
        (503, Busy),
        (500, Retry),
        (502, Retry),
        (504, TimedOut),
        (400, Reject),
        (413, Reject),
        (422, Reject),
        (302, Refuses),
    ],
)
async def test_statuses(trouble, status, kind):
    body = orjson.dumps({"error": {"message": f"the server's words: A SECRET QUESTION {KEY}", "type": "some_error"}})
    error = await trouble(answering(status, body, Location="/elsewhere"))
    assert type(error) is kind
    assert f"HTTP {status} (some_error)" in str(error)


async def test_retry_after_in_both_forms(trouble):
    error = await trouble(answering(429, Retry_After="7"))
    assert isinstance(error, ModelAway)
    assert error.retry_after == 7
    error = await trouble(answering(503, Retry_After=formatdate(time() + 20, usegmt=True)))
    assert isinstance(error, ModelAway)
    assert error.retry_after == pytest.approx(20, abs=2)


@pytest.mark.parametrize("body", [b"", b"{", b"<html>the server's words</html>", b"{}", b'{"choices": []}'])
async def test_broken_bodies(trouble, body):
    assert type(await trouble(answering(200, body))) is Retry


async def test_a_body_that_ends_too_soon(trouble, chat):
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "5000"})
        await response.prepare(request)
        await response.write(chat())
        assert request.transport is not None
        request.transport.close()
        return response

    assert type(await trouble(handler)) is Retry


async def test_a_chunked_body_that_ends_too_soon(trouble, chat):
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(chat()[:20])
        assert request.transport is not None
        request.transport.close()
        return response

    assert type(await trouble(handler)) is Retry


@pytest.mark.parametrize("after_headers", [False, True])
async def test_a_reset(trouble, chat, after_headers):
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "5000"})
        if after_headers:
            await response.prepare(request)
            await response.write(chat())
            await asyncio.sleep(0.05)
        assert request.transport is not None
        linger = struct.pack("ii", 1, 0)
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        request.transport.abort()
        return response

    error = await trouble(handler)
    assert type(error) is Retry
    assert "the connection broke" in str(error)


async def test_invalid_http(trouble, served, request_of):
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with ChatClient({"writer": Endpoint(f"http://127.0.0.1:{port}/v1")}) as client:
            with pytest.raises(Retry):
                await client.send(request_of(), owner="x", attempt="a")


async def test_a_slow_reply(trouble):
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "5000"})
        await response.prepare(request)
        for _ in range(100):  # each byte in time, the whole never
            await response.write(b" ")
            await asyncio.sleep(0.02)
        return response

    assert type(await trouble(handler, timeout_s=0.2)) is TimedOut


@pytest.mark.parametrize("compressed", [False, True])
async def test_a_huge_reply_is_not_read_to_its_end(trouble, compressed):
    written = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal written
        assert request.headers["Accept-Encoding"] == "identity"
        response = web.StreamResponse(headers={"Content-Encoding": "gzip"} if compressed else {})
        await response.prepare(request)
        chunk = gzip.compress(bytes(2**28)) if compressed else b" " * 2**20
        for _ in range(1 if compressed else 100):
            await response.write(chunk)
            written += len(chunk)
        return response

    error = await trouble(handler)
    assert type(error) is TooLarge
    assert str(error) == "reply too large: more than 262744 bytes"
    assert written < 20 * 2**20


async def test_a_text_beyond_its_bound(trouble, chat):
    error = await trouble(answering(200, chat("x" * 601)))
    assert isinstance(error, TooLarge)
    assert error.usage == Usage(prompt=3, completion=2)


async def test_nobody_there(request_of, served, chat_app):
    async with served(chat_app(answering())) as base_url:
        pass
    async with ChatClient({"writer": Endpoint(base_url, api_key=SecretStr(KEY))}) as client:
        with pytest.raises(ModelAway, match="no connection") as caught:
            await client.send(request_of(), owner="x", attempt="a")
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("base_url", ["http://no-such-host.invalid/v1", "ftp://host/v1", "host/v1"])
async def test_an_address_that_leads_nowhere(request_of, base_url):
    async with ChatClient({"writer": Endpoint(base_url)}) as client:
        with pytest.raises(ModelAway, match="base_url"):
            await client.send(request_of(), owner="x", attempt="a")


async def test_an_alias_without_an_endpoint(request_of):
    async with ChatClient({}) as client:
        with pytest.raises(ModelAway, match="no endpoint is set for the alias writer"):
            await client.send(request_of(), owner="x", attempt="a")


async def test_a_connection_that_is_not_taken_in_time_is_a_model_away(request_of, monkeypatch):
    monkeypatch.setattr("services.llm.client.CONNECT_S", 0.2)
    with socket.socket() as deaf:  # its backlog is full, and nobody accepts
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        filling = [socket.socket() for _ in range(4)]
        for one in filling:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        async with ChatClient({"writer": Endpoint(f"http://127.0.0.1:{port}/v1", timeout_s=5)}) as client:
            with pytest.raises(ModelAway, match="no connection"):
                await client.send(request_of(), owner="x", attempt="a")
        for one in filling:
            one.close()


async def test_an_error_inside_a_200(trouble):
    assert type(await trouble(answering(200, b'{"error": {"code": 429, "message": "SECRET"}}'))) is Busy
    half = b'{"choices": [{"message": {"content": "ha"}, "finish_reason": "error", "error": {"code": 502}}]}'
    assert type(await trouble(answering(200, half))) is Retry


async def test_an_encoding_that_was_not_asked_for_is_named(trouble):
    assert "zstd" in str(await trouble(answering(200, b"xxxx", Content_Encoding="zstd")))
