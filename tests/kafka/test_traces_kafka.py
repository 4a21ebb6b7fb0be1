"""One question through the real services, and a collector that takes what they tell over OTLP/HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from services.core import ids
from services.llm.scripted import known
from tests.kafka.stream import running
from tests.kafka.test_stream_kafka import QUICK

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]

WORKERS = [
    *("gateway-1", "router-1", "generator-1", "verifier-1", "refiner-medium-1", "refiner-difficult-1"),
    *("summarizer-1", "exporter-1"),
]


class Told(NamedTuple):
    """A span, as a collector gets it."""

    service: str
    name: str
    trace: bytes
    span: bytes
    parent: bytes
    about: dict[str, str]


class Collector:
    """Keeps every span that it receives."""

    def __init__(self) -> None:
        self.spans: list[Told] = []
        self.address = ""
        self._news = asyncio.Condition()

    async def take(self, request: web.Request) -> web.Response:
        posted = ExportTraceServiceRequest.FromString(await request.read())
        async with asyncio.timeout(90), self._news:
            for of in posted.resource_spans:
                service = _plain(of.resource.attributes)["service.name"]
                for span in (span for scope in of.scope_spans for span in scope.spans):
                    about = _plain(span.attributes)
                    self.spans.append(Told(service, span.name, span.trace_id, span.span_id, span.parent_span_id, about))
            self._news.notify_all()
        return web.Response(content_type="application/x-protobuf")

    async def until(self, holds: Callable[[Told], bool]) -> None:
        async with self._news:
            await self._news.wait_for(lambda: any(holds(span) for span in self.spans))


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    collector, app = Collector(), web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        collector.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield collector
    finally:
        await runner.cleanup()


async def test_a_case_is_one_trace_from_post_to_record(tmp_path: Path) -> None:
    question = next(iter(known.questions(known.SAMPLES).values()))
    case_id = ids.case_id(question)
    async with (
        collecting() as collector,
        running(
            tmp_path,
            recipes=[QUICK],
            servers={"quick": "0.01"},
            aliases={"quick": "quick"},
            settings={
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.address,
                "OTEL_BSP_SCHEDULE_DELAY": "200",
                "REASONMED_EXPORT__OUT": str(tmp_path / "dataset"),
                "REASONMED_EXPORT__AGE_S": "1",
            },
        ) as stream,
    ):
        await stream.servers["quick"].process.start()
        await stream.start(*WORKERS)
        async with httpx.AsyncClient() as http:
            posted = await http.post(
                f"http://127.0.0.1:{stream._ports['gateway-1']}/questions",
                content=question.model_dump_json(exclude_none=True),
                headers={"Content-Type": "application/json"},
            )
            assert posted.status_code == 202
        await stream.until_ended([question])
        await collector.until(lambda span: span.service == "reasonmed-exporter")
        for name in WORKERS:  # spans that are not sent yet are sent at the end
            assert await stream.worker(name).terminate(60.0) == 0
        calls = {line["id"] for line in stream.log() if line["event"] == "start"}

    spans = [span for span in collector.spans if span.about.get("reasonmed.case_id") == case_id]
    assert len(spans) == len(collector.spans)
    assert len({span.trace for span in spans}) == 1
    (root,) = (span for span in spans if not span.parent)
    assert (root.service, root.name) == ("reasonmed-gateway", "send question-submitted")
    by_id = {span.span: span for span in spans}
    for span in spans:
        while span.parent:
            span = by_id[span.parent]
        assert span is root
    asked = [span for span in spans if span.name == "chat quick"]
    assert calls
    assert {span.about["reasonmed.call_id"] for span in asked} == calls
    assert all(by_id[span.parent].service == span.service for span in asked)
    assert all(by_id[span.parent].name.startswith("process ") for span in asked)
    ways = {span.name for span in spans}
    assert {"process question-submitted", "process paths-generated", "process record-completed"} <= ways


def _plain(attributes: Any) -> dict[str, str]:
    return {each.key: each.value.string_value for each in attributes}
