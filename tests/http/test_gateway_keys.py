"""The gateway under attack: keys, malformed JSON, malformed HTTP."""

import gzip

import pytest

from tests.http.gateway_process import (  # noqa: F401  fixtures
    BEARER,
    CASE,
    ENDS,
    JSON,
    KEYS,
    ROW,
    Gateway,
    _to_the_end,
    gateway_fixture,
    get,
    head,
    still_alive,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]


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
async def test_an_invalid_case_id_is_not_looked_up(gateway: Gateway, path: str) -> None:
    assert (await gateway.client.get(path, headers=BEARER)).status_code in (404, 422)


@pytest.mark.parametrize(
    "path", ["/../settings.py", "/%2e%2e/settings.py", "/..%2f..%2f..%2fetc/passwd", "//etc/passwd", "/\0"]
)
async def test_the_dashboard_shows_its_own_files_only(gateway: Gateway, path: str) -> None:
    async with gateway.wire() as (reader, writer):
        writer.write(get(f"/dashboard{path}").replace(b"\0", b"%00"))
        assert (await reader.readline()).startswith(b"HTTP/1.1 404 ")


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
async def test_invalid_json_is_reported(gateway: Gateway, body: bytes) -> None:
    answer = await gateway.post(body)
    assert answer.status_code == 422
    assert answer.json()["fields"][0]["field"] == "body"


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, identity", "nonsense"])
async def test_compressed_bodies_are_not_decompressed(gateway: Gateway, encoding: str) -> None:
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
async def test_invalid_http_closes_the_connection(gateway: Gateway, sent: bytes) -> None:
    async with gateway.wire() as (reader, writer):
        writer.write(sent)
        answer = await _to_the_end(reader)
    assert answer == b"" or b"HTTP/1.1 400 " in answer, answer[:100]


async def test_a_length_beside_chunks_smuggles_no_second_request(gateway: Gateway) -> None:
    hidden = b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n"
    sent = head("Connection: close", "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + hidden
    assert (await gateway.said(sent)).count(b"HTTP/1.1 ") == 1


async def test_a_body_that_breaks_after_its_response_is_cut_off(gateway: Gateway) -> None:
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
