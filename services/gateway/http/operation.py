"""Health and metrics, for Kubernetes and Prometheus."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from services.gateway.http.cache import TtlCache
from services.gateway.http.metrics import Metrics

KEEP_S = 1.0
"""Seconds that readiness is cached: /readyz makes at most one connection to Kafka per second."""


def routes(reachable: Callable[[], Awaitable[bool]], metrics: Metrics) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["operation"])
    ready = TtlCache(reachable, KEEP_S)

    @router.get("/healthz", response_class=PlainTextResponse, summary="The process is alive")
    async def healthz() -> str:
        """Always 200. Independent of Kafka, which a restart of the gateway would not bring back."""
        return "alive\n"

    @router.get(
        "/readyz",
        response_class=PlainTextResponse,
        summary="Kafka can be reached",
        responses={
            503: {"description": "Kafka can't be reached.", "content": {"text/plain": {"schema": {"type": "string"}}}}
        },
    )
    async def readyz(response: Response) -> str:
        """200 if a new connection reaches Kafka, else 503. Cached for one second."""
        if await ready():
            return "ready\n"
        response.status_code = 503
        return "Kafka can't be reached\n"

    @router.get("/metrics", response_class=PlainTextResponse, summary="Figures for Prometheus")
    async def prometheus() -> Response:
        """Accepted and refused questions, open streams, and how long Kafka takes to confirm."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router
