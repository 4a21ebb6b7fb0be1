"""The small HTTP server beside a worker: /healthz, /readyz, /metrics."""

from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import Self

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from services.runtime.engine.metrics import HealthMetrics
from services.runtime.engine.watchdog import Health

Pages = Mapping[str, Callable[[], bytes | None]]
"""JSON by path; None: there is nothing to say yet, which is 503."""


class HealthServer:
    """Serves as long as the `async with` lasts. 200 or 503, with the reasons as JSON: {"ok": false, "why": [...]}."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        health: Callable[[], Health],
        registry: CollectorRegistry | None = None,
        pages: Pages = MappingProxyType({}),
    ) -> None:
        """Port 0: any that is free; see `port` then. /metrics: the registry's, and the health itself."""
        self._host = host
        self._port = port
        self._health = health
        self._registry = registry or CollectorRegistry()
        self._registry.register(HealthMetrics(health))
        self._pages = pages
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port that is listened on, while it is."""
        assert self._runner is not None, "only within the async with"
        return int(self._runner.addresses[0][1])

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.add_routes(
            [web.get("/healthz", self._live), web.get("/readyz", self._ready), web.get("/metrics", self._metrics)]
            + [web.get(path, self._page) for path in self._pages]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _live(self, request: web.Request) -> web.Response:
        health = self._health()
        return _answer(health.live, health.why)

    async def _ready(self, request: web.Request) -> web.Response:
        health = self._health()
        return _answer(health.ready, health.why)

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _page(self, request: web.Request) -> web.Response:
        body = self._pages[request.path]()
        return web.Response(body=body, status=503 if body is None else 200, content_type="application/json")


def _answer(ok: bool, why: list[str]) -> web.Response:
    return web.json_response({"ok": ok, "why": why}, status=200 if ok else 503)
