"""One request to a model server over HTTP, and every way in which it can go wrong, by kind."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from services.core.endpoint import Endpoint
from services.core.errors import ModelAway, Retry
from services.core.ledger.calls import Reply, Request
from services.llm import refusals, wire
from services.llm.troubles import TimedOut, TooLarge

CONNECT_S = 5.0
"""A server that doesn't take a connection within this time is away."""

_KEEPALIVE_S = 60.0
"""An idle connection is kept for so long: a bit below what servers and balancers usually grant (75 s)."""


class Client(Protocol):
    """What sends a call over the wire once: ChatClient, or a fake."""

    async def send(self, request: Request, *, owner: str) -> Reply:
        """Raises ModelAway, Retry, Reject."""
        ...


class ChatClient:
    """Model servers behind the OpenAI-compatible chat endpoint; aliases with one base URL share its connections.

    An async context manager: leaving it closes the connections.
    """

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._endpoints = dict(endpoints)
        connections = Counter[str]()
        for endpoint in endpoints.values():
            connections[endpoint.base_url] += endpoint.max_calls
        proxies = {endpoint.base_url: endpoint.proxy for endpoint in endpoints.values()}
        self._clients = {base_url: _http(most, proxies[base_url]) for base_url, most in connections.items()}
        self._urls = {base_url: chat_url(base_url) for base_url in connections}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            await client.aclose()

    async def send(self, request: Request, *, owner: str) -> Reply:
        """Make the call once. `owner` is the process, for the server's log.

        Raises ModelAway (Busy for a 429) where the server takes no calls now, Retry (TimedOut when the time is up)
        where the same request may well work, Reject (TooLarge beyond the bound on bytes) where it never will. No
        error's text holds a key, a prompt, or a server's words.
        """
        endpoint = self._endpoints.get(request.alias)
        if endpoint is None:
            raise ModelAway(f"no endpoint is set for the alias {request.alias}: add one to the deployment's settings")
        timeout_s = endpoint.timeout_for(request.sampling.max_tokens)
        try:
            async with asyncio.timeout(timeout_s):
                response, data = await self._post(endpoint, request, owner)
        except TimeoutError:
            raise TimedOut(f"no whole reply within {timeout_s:g} s") from None
        except (httpx.HTTPError, aiohttp.ClientError, OSError) as error:
            raise _broken_connection(error) from error
        if response.status_code != 200:
            raise refusals.trouble(
                response.status_code, data, retry_after=response.headers.get("retry-after"), now=time.time()
            )
        return wire.reply(request, data)

    async def _post(self, endpoint: Endpoint, request: Request, owner: str) -> tuple[httpx.Response, bytes]:
        # Built by hand, not by the client: its merging of defaults costs as much as the rest of a request.
        posted = httpx.Request(
            "POST",
            self._urls[endpoint.base_url],
            headers={**wire.headers(request, owner=owner), **_deployed(endpoint)},
            content=wire.body(request),
            extensions={"timeout": {"connect": CONNECT_S}},
        )
        response = await self._clients[endpoint.base_url].send(posted, stream=True)
        try:
            return response, await _read(response, wire.body_bound(request))
        finally:
            await response.aclose()


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


def _http(connections: int, proxy: str | None) -> httpx.AsyncClient:
    """A client on aiohttp's connections: httpx's own pool costs 20 ms a call with 256 under way."""
    limits = httpx.Limits(max_connections=connections, keepalive_expiry=_KEEPALIVE_S)
    return httpx.AsyncClient(
        transport=AiohttpTransport(limits=limits, proxy=httpx.Proxy(proxy) if proxy is not None else None),
        trust_env=False,
    )


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
    """Away where no connection came about, so that nothing was asked; a retry where one broke.

    httpx-aiohttp maps every broken connection to ConnectTimeout: only the cause tells a refusal from a reset.
    """
    cause = error.__cause__ or error
    name = type(cause).__name__
    if isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return ModelAway(f"no connection to the server ({name}): it is down, or the alias's base_url is wrong")
    if isinstance(error, httpx.UnsupportedProtocol):
        return ModelAway("the alias's base_url is no http or https address")
    return Retry(f"the connection broke ({name})")
