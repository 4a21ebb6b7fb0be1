"""The servers behind a DNS name, looked up periodically."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import structlog

from services.core.endpoint import Endpoint

LOOK_UP_S = 5.0
"""Seconds between look-ups: a new server gets calls within 10 s, half of it for DNS."""

_log = structlog.get_logger(__name__)

LookUp = Callable[[str, int], Awaitable[list[str]]]
"""Addresses (host:port, with brackets for IPv6) of a host and port. Raises OSError."""


async def look_up(host: str, port: int) -> list[str]:
    """Look up by the system's resolver. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    hosts = sorted({str(address[0]) for *_, address in found})
    return [f"[{one}]:{port}" if ":" in one else f"{one}:{port}" for one in hosts]


def host_and_port(endpoint: Endpoint) -> tuple[str, int]:
    """Host and port of the endpoint's URL. Raises ValueError."""
    url = urlsplit(endpoint.base_url)
    return url.hostname or "", url.port or (443 if url.scheme == "https" else 80)


class Pool:
    """The addresses of one endpoint. A look-up that fails or finds none changes nothing: calls to removed servers fail
    anyway, and a DNS outage must not stop working servers."""

    def __init__(self, endpoint: Endpoint, look_up: LookUp) -> None:
        self._endpoint = endpoint
        self._look_up = look_up
        self._is_failing = False
        self.addresses: list[str] = []

    async def follow(self, changed: Callable[[list[str]], None]) -> None:
        """Call `changed` for each change of the addresses, until cancelled."""
        while True:
            found = await self._find()
            if found and found != self.addresses:
                self.addresses = found
                changed(found)
            await asyncio.sleep(LOOK_UP_S)

    async def _find(self) -> list[str]:
        try:
            host, port = host_and_port(self._endpoint)
            found = await self._look_up(host, port)
        except (OSError, ValueError) as error:
            if not self._is_failing:
                _log.warning("a pool's name is not found", name=self._endpoint.base_url, error=str(error))
            self._is_failing = True
            return []
        self._is_failing = False
        return found
