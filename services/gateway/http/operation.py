"""Health and metrics, for Kubernetes and Prometheus."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field

from services.gateway.http.cache import TtlCache
from services.gateway.http.metrics import Metrics

KEEP_S = 1.0
"""Seconds that readiness is cached: /readyz makes at most one connection to Kafka per second."""


class HealthView(BaseModel):
    """As every service answers."""

    ok: bool
    why: list[str] = Field(default_factory=list, description="What is missing.")


def routes(reachable: Callable[[], Awaitable[bool]], metrics: Metrics) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["operation"])
    ready = TtlCache(reachable, KEEP_S)

    @router.get("/healthz", summary="The process is alive")
    async def healthz() -> HealthView:
        """Always 200. Independent of Kafka, which a restart of the gateway would not bring back."""
        return HealthView(ok=True)

    @router.get(
        "/readyz",
        summary="Kafka can be reached",
        responses={503: {"description": "Kafka can't be reached.", "model": HealthView}},
    )
    async def readyz(response: Response) -> HealthView:
        """200 if a new connection reaches Kafka, else 503. Cached for one second."""
        if await ready():
            return HealthView(ok=True)
        response.status_code = 503
        return HealthView(ok=False, why=["Kafka can't be reached"])

    @router.get("/metrics", response_class=PlainTextResponse, summary="Figures for Prometheus")
    async def prometheus() -> Response:
        """Accepted and refused questions, open streams, and how long Kafka takes to confirm."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router
