"""A model call in its case's trace: a span for each request, and an event for what was remembered."""

from typing import Any

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from services.core.endpoint import Endpoint
from services.core.errors import Retry
from services.core.holds import Holds
from services.core.ledger.calls import Request
from services.ledger.memory.ledger import memory_ledger
from services.llm.dispatcher import Dispatcher
from services.llm.spans import _server

ENDPOINTS = {"writer": Endpoint("https://user:secret@models.test/v1")}


@pytest.fixture
def asked(virtually, client, traced):
    """Ask within a message's span; the spans that were kept, by name."""

    def run(*requests, times: int = 1):
        async def main() -> None:
            async with Dispatcher(
                client, memory_ledger().calls, endpoints=ENDPOINTS, owner="one", holds=Holds()
            ) as models:
                for _ in range(times):
                    with trace.get_tracer("test").start_as_current_span("message"):
                        await models.ask(requests)

        virtually(main())
        spans = traced.get_finished_spans()
        return (
            [span for span in spans if span.name == "message"],
            [span for span in spans if span.name != "message"],
        )

    return run


def test_a_call_is_a_span_under_the_message_that_asked(asked, client, request_of, reply_of):
    client.script = reply_of
    request = request_of(7)
    (message,), (call,) = asked(request)
    assert call.parent.span_id == message.context.span_id
    assert (call.name, call.kind) == ("chat some-model", SpanKind.CLIENT)
    assert dict(call.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "some-model",
        "gen_ai.request.temperature": 0.7,
        "gen_ai.request.top_p": request.sampling.top_p,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.seed": 7,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 2,
        "server.address": "models.test",
        "server.port": 443,
        "reasonmed.call_id": request.call_id,
        "reasonmed.case_id": request.case_id,
        "reasonmed.stage": "generate",
        "reasonmed.alias": "writer",
    }
    assert not {text for text in ("Question 7", "reply to 7", "secret") if text in call.to_json()}


def test_a_remembered_call_is_an_event(asked, client, request_of, reply_of):
    client.script = reply_of
    (first, second), calls = asked(request_of(1), times=2)
    assert len(calls) == 1
    assert [event.name for event in first.events] == []
    (event,) = second.events
    assert (event.name, event.attributes["reasonmed.call_id"]) == ("call remembered", request_of(1).call_id)


def test_each_try_is_a_span_and_an_error_is_named_by_its_type(asked, client, request_of, reply_of):
    outcomes = [Retry("the text of an error"), None]
    client.probe = reply_of
    client.script = lambda request: outcomes.pop(0) or reply_of(request)
    _, (failed, replied) = asked(request_of(1))
    assert (failed.status.status_code, failed.attributes["error.type"]) == (StatusCode.ERROR, "Retry")
    assert "the text" not in failed.to_json()
    assert replied.status.status_code is StatusCode.UNSET


def test_a_line_about_a_call_names_call_and_case(asked, client, request_of, reply_of):
    bound: list[dict[str, Any]] = []

    def script(request: Request) -> Any:
        bound.append(structlog.contextvars.get_contextvars())
        return reply_of(request)

    client.script = script
    request = request_of(1)
    asked(request)
    assert bound == [{"call_id": request.call_id, "case_id": request.case_id}]


@pytest.mark.parametrize("url", ["", "http://host:port", "http://[half"])
def test_an_address_that_is_none_is_left_to_the_client(url):
    assert _server(None) == {}
    assert _server(Endpoint(url)).get("server.address", "") == ""
