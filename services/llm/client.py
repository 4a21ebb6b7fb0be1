"""One HTTP request to a model server, and its errors by kind."""

import asyncio
import ssl
import time
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from services.core.endpoint import Endpoint
from services.core.errors import ModelAway, Retry
from services.core.ledger.calls import Reply, Request
from services.llm import reading, wire
from services.llm.troubles import TimedOut, TooLarge

CONNECT_S = 5.0
"""Seconds after which a server that accepts no connection counts as away."""

_KEEPALIVE_S = 60.0
"""Seconds that an idle connection is kept: below the usual limit of servers and load balancers (75 s)."""


class Client(Protocol):
    """Sends a call once: ChatClient, or a fake."""

    async def send(self, request: Request, *, owner: str, attempt: str, address: str | None = None) -> Reply:
        """`attempt` is the id of this send; `address` (host:port) is the server of a pool, None for the endpoint's own
        host. Raises ModelAway, Retry, Reject."""
        ...


class ChatClient:
    """Model servers behind the OpenAI-compatible chat endpoint. Aliases with one base URL share its connections.

    An async context manager: leaving it closes the connections. Requests go straight to httpx's transport: there are no
    redirects or cookies to handle (a balancer's cookie would tie every call to one server), and the client around it
    costs 0.1 ms a call.
    """

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._endpoints = dict(endpoints)
        self._transports = {endpoint.base_url: _transport(endpoint.proxy) for endpoint in endpoints.values()}
        self._urls = {base_url: chat_url(base_url) for base_url in self._transports}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for transport in self._transports.values():
            await transport.aclose()

    async def send(self, request: Request, *, owner: str, attempt: str, address: str | None = None) -> Reply:
        """Make the call once. `owner` is the process, `attempt` this send, both for the server's log; `address` the
        server of a pool.

        Raises the error that services.llm.trouble_table assigns to the response: ModelAway (Busy, Refuses) to hold the
        call, Retry (TimedOut after the time limit) if the same request may succeed, Reject (TooLarge beyond the size
        limit) if it will not. Error texts contain no key, prompt or server text.
        """
        endpoint = self._endpoints.get(request.alias)
        if endpoint is None:
            raise ModelAway(f"no endpoint is set for the alias {request.alias}: add one to REASONMED_MODELS")
        timeout_s = endpoint.timeout_for(request.sampling.max_tokens)
        try:
            async with asyncio.timeout(timeout_s):
                response, data = await self._post(endpoint, request, owner, attempt, address)
        except TimeoutError:
            raise TimedOut(f"no whole reply within {timeout_s:g} s") from None
        except (httpx.HTTPError, aiohttp.ClientError, OSError) as error:
            raise _broken_connection(error) from error
        return reading.read(request, response.status_code, response.headers, data, now=time.time())

    async def _post(
        self, endpoint: Endpoint, request: Request, owner: str, attempt: str, address: str | None
    ) -> tuple[httpx.Response, bytes]:
        url, extensions = self._urls[endpoint.base_url], {"timeout": {"connect": CONNECT_S}}
        headers = {**wire.headers(request, owner=owner), "X-Request-Id": attempt, **_deployed(endpoint)}
        if address is not None:
            url = _at(url, address, headers, extensions)
        posted = httpx.Request("POST", url, headers=headers, content=wire.body(request), extensions=extensions)
        response = await self._transports[endpoint.base_url].handle_async_request(posted)
        try:
            return response, await _read(response, wire.body_bound(request))
        finally:
            await response.aclose()


def _at(url: httpx.URL, address: str, headers: dict[str, str], extensions: dict[str, Any]) -> httpx.URL:
    """The same URL at one server of its pool. The name stays in the Host header, and TLS verifies it. Changes headers
    and extensions."""
    host, _, port = address.rpartition(":")
    headers["Host"] = url.netloc.decode("ascii")
    if url.scheme == "https":
        extensions["sni_hostname"] = url.host
    return url.copy_with(host=host.strip("[]"), port=int(port))


def chat_url(base_url: str) -> httpx.URL:
    """The chat endpoint below a base URL, whose query string is kept."""
    base = httpx.URL(base_url)
    return base.copy_with(path=f"{base.path.rstrip('/')}/chat/completions")


def _deployed(endpoint: Endpoint) -> dict[str, str]:
    """The headers that the deployment's settings add to each request."""
    named = {name: value.get_secret_value() for name, value in endpoint.headers.items()}
    if (key := endpoint.api_key) is not None:
        bearer = endpoint.key_header.lower() == "authorization"
        named[endpoint.key_header] = f"Bearer {key.get_secret_value()}" if bearer else key.get_secret_value()
    return named


def _transport(proxy: str | None) -> AiohttpTransport:
    """aiohttp's connections: httpx's pool costs 20 ms per call with 256 in flight. The gates limit calls; a limit on
    connections would delay calls to a new server of a pool."""
    tls = httpx.create_ssl_context()
    through = httpx.Proxy(proxy) if proxy is not None else None
    return AiohttpTransport(verify=tls, client=partial(_session, tls), proxy=through)


def _session(tls: ssl.SSLContext) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_S, ssl=tls)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


async def _read(response: httpx.Response, bound: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > bound:
            raise TooLarge(f"reply too large: more than {bound} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _broken_connection(error: Exception) -> ModelAway | Retry:
    """ModelAway if no connection was made, so that nothing was sent; Retry if a connection broke.

    httpx-aiohttp maps every broken connection to ConnectTimeout: only the cause tells a refusal from a reset.
    """
    cause = error.__cause__ or error
    name = type(cause).__name__
    if isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return ModelAway(f"no connection to the server ({name}): it is down, or the alias's base_url is wrong")
    if isinstance(error, httpx.UnsupportedProtocol):
        return ModelAway("the alias's base_url is no http or https address")
    return Retry(f"the connection broke ({name})")
