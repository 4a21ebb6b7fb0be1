"""A model call in its case's trace, by OpenTelemetry's conventions for generative models; never a text, never a key."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.util.types import AttributeValue

from services.core.endpoint import Endpoint
from services.core.ledger.calls import Reply, Request


class Sending:
    """The span of a request in flight."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def replied(self, reply: Reply) -> None:
        """Add the attributes of the reply."""
        self._span.set_attributes(
            {
                "gen_ai.response.finish_reasons": [reply.finish_reason],
                "gen_ai.usage.input_tokens": reply.usage.prompt,
                "gen_ai.usage.output_tokens": reply.usage.completion,
                "gen_ai.usage.cache_read.input_tokens": reply.usage.cached,
            }
        )


@contextmanager
def sending(request: Request, endpoint: Endpoint | None) -> Iterator[Sending]:
    """A span for one HTTP request, under the message that asked first: each attempt has its own."""
    with trace.get_tracer("reasonmed").start_as_current_span(
        f"chat {request.model.served}",
        kind=SpanKind.CLIENT,
        attributes={**_about(request), **_server(endpoint)},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield Sending(span)
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(StatusCode.ERROR)
            raise


def remembered(request: Request) -> None:
    """Add an event: the ledger had the call, and nothing was sent."""
    about: dict[str, AttributeValue] = {"reasonmed.call_id": request.call_id, "reasonmed.stage": request.stage}
    trace.get_current_span().add_event("call remembered", about)


def _about(request: Request) -> dict[str, AttributeValue]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",  # the protocol's, as the conventions say of servers that are compatible
        "gen_ai.request.model": request.model.served,
        "gen_ai.request.temperature": request.sampling.temperature,
        "gen_ai.request.top_p": request.sampling.top_p,
        "gen_ai.request.max_tokens": request.sampling.max_tokens,
        "gen_ai.request.seed": request.seed,
        "reasonmed.call_id": request.call_id,
        "reasonmed.case_id": request.case_id,
        "reasonmed.stage": request.stage,
        "reasonmed.alias": request.alias,
    }


def _server(endpoint: Endpoint | None) -> dict[str, AttributeValue]:
    """Host and port only, since other parts of an address may contain a password."""
    if endpoint is None:
        return {}
    try:
        url = urlsplit(endpoint.base_url)
        port = url.port or (443 if url.scheme == "https" else 80)
    except ValueError:  # invalid address: the client reports it
        return {}
    return {"server.address": url.hostname or "", "server.port": port}
