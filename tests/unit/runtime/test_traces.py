"""Traces through the carrier: whose child a message's span is, what goes into headers, what never goes into a span."""

import json
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from services.contracts.dead import DEAD_LETTER_HEADER
from services.core.errors import Dead
from services.core.messages import OutgoingRecord
from services.runtime.engine.spans import posting
from services.runtime.process import logs
from services.runtime.process.settings import TraceSettings
from services.runtime.process.tracing import traced as tracing

Eventually = Callable[..., Awaitable[None]]

PROJECT = Path(__file__).parents[3]
CASE = "case-" + "0a" * 16
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01".encode()


def send(bench: Any, value: bytes, **headers: bytes) -> None:
    bench.broker.append(OutgoingRecord("in", CASE.encode(), value, {"from": b"test", **headers}))


async def done(bench: Any, eventually: Eventually, **settings: Any) -> None:
    async with bench.worker(**settings):
        await eventually(lambda: (committed := bench.committed()) and committed.offset == 1)


async def test_a_message_is_a_child_of_who_sent_it_and_the_parent_of_what_becomes_of_it(
    bench: Any, eventually: Eventually, traced: InMemorySpanExporter
) -> None:
    send(bench, b"body", traceparent=PARENT)
    await done(bench, eventually)
    (span,) = traced.get_finished_spans()
    assert span.parent is not None
    assert span.parent.span_id == 0xB7AD6B7169203331
    assert (span.name, span.kind) == ("process in", SpanKind.CONSUMER)
    assert dict(span.attributes or {}) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "in",
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 0,
        "messaging.kafka.message.key": CASE,
        "messaging.consumer.group.name": "toy",
        "reasonmed.case_id": CASE,
    }
    (out,) = bench.broker.messages("out")
    assert out.value == b"body"
    assert out.headers == {"traceparent": f"00-{TRACE}-{span.context.span_id:016x}-01".encode()}


@pytest.mark.parametrize("header", [b"\xff", b"nonsense", b""])
async def test_a_header_that_is_none_begins_a_trace(
    bench: Any, eventually: Eventually, traced: InMemorySpanExporter, header: bytes
) -> None:
    send(bench, b"body", traceparent=header)
    await done(bench, eventually)
    (span,) = traced.get_finished_spans()
    assert span.parent is None
    (out,) = bench.broker.messages("out")
    assert f"{span.context.trace_id:032x}" in out.headers["traceparent"].decode()


async def test_without_tracing_no_header_is_added(bench: Any, eventually: Eventually) -> None:
    send(bench, b"body")
    await done(bench, eventually)
    (out,) = bench.broker.messages("out")
    assert out.headers == {}


async def test_without_tracing_a_trace_is_handed_on(bench: Any, eventually: Eventually) -> None:
    send(bench, b"body", traceparent=PARENT)
    await done(bench, eventually)
    (out,) = bench.broker.messages("out")
    assert out.headers == {"traceparent": PARENT}


async def test_a_dead_letter_has_the_originals_headers_and_its_span_no_payload(
    bench: Any, eventually: Eventually, traced: InMemorySpanExporter
) -> None:
    send(bench, b"body", traceparent=PARENT)
    bench.raises[b"body"] = [Dead("poison", "the text: body")]
    await done(bench, eventually)
    (letter,) = bench.broker.messages("toy-dead")
    assert letter.headers["traceparent"] == PARENT
    assert set(letter.headers) == {"from", "traceparent", DEAD_LETTER_HEADER}
    (span,) = traced.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "poison"
    assert "body" not in span.to_json()


def test_each_question_that_is_posted_begins_a_trace(traced: InMemorySpanExporter) -> None:
    with posting([OutgoingRecord("t", CASE.encode(), b"1", {}), OutgoingRecord("t", b"some text", b"2", {})]) as posted:
        headers = [message.headers["traceparent"].decode() for message in posted]
    spans = traced.get_finished_spans()
    assert len({span.context.trace_id for span in spans}) == 2
    parents = {f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}" for span in spans}
    assert parents == {header.rpartition("-")[0] for header in headers}
    assert [message.value for message in posted] == [b"1", b"2"]
    assert "some text" not in "".join(span.to_json() for span in spans)


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_only_a_collector_turns_it_on(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for each in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(each, raising=False)
    before = trace.get_tracer_provider()
    with tracing(service="toy", owner="me"):
        assert trace.get_tracer_provider() is before
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert TraceSettings().collector == "http://127.0.0.1:1"
    monkeypatch.setenv(name, "")
    assert TraceSettings().collector is None


def test_an_unavailable_collector_blocks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """More spans than its queue holds; and an end, though none of them can leave."""
    talks = """
from services.core.messages import OutgoingRecord
from services.runtime.engine.spans import posting
from services.runtime.process.tracing import traced

with traced(service="toy", owner="me"), posting([OutgoingRecord("t", b"", b"", {})] * 3_000) as posted:
    assert all("traceparent" in message.headers for message in posted)
print("done")
"""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    ended = subprocess.run([sys.executable, "-c", talks], capture_output=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, b"done\n")


def test_only_one_module_knows_the_sdk() -> None:
    """What import-linter can't tell: to it, OpenTelemetry is one package."""
    knows = [
        p.name
        for p in (PROJECT / "services").rglob("*.py")
        if re.search(r"opentelemetry\.(sdk|exporter)", p.read_text())
    ]
    assert knows == ["collector.py"]


async def test_every_line_about_a_message_names_its_case_and_trace(
    bench: Any, eventually: Eventually, traced: InMemorySpanExporter, capsys: pytest.CaptureFixture[str]
) -> None:
    send(bench, b"body", traceparent=PARENT)
    bench.raises[b"body"] = [RuntimeError("body")]
    said: list[dict[str, Any]] = []

    async def handle(message: Any) -> Any:
        structlog.get_logger("of the handler").info("at work")
        return await bench.handle(message)

    def keep(logger: Any, method: str, event: Any) -> Any:
        said.append(dict(event))
        raise structlog.DropEvent

    structlog.configure(processors=[structlog.contextvars.merge_contextvars, logs._trace, keep])
    try:
        await done(bench, eventually, handle=handle)
    finally:
        structlog.reset_defaults()
    mine = [line for line in said if line["event"] in ("at work", "handler raised")]
    assert [line["event"] for line in mine] == ["at work", "handler raised", "at work"]
    assert all((line["case_id"], line["trace_id"]) == (CASE, TRACE) for line in mine)
    assert "body" not in json.dumps(mine)
    assert structlog.contextvars.get_contextvars() == {}
