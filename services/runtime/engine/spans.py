"""A case's trace: spans about messages, and W3C traceparent in Kafka's headers, by the messaging conventions.

OpenTelemetry's API alone: as long as tracing.py has set nothing up, spans cost a few microseconds, go nowhere, and add
no header; an incoming traceparent is propagated even then, so that an untraced service doesn't cut a trace.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from services.core.messages import ConsumedRecord, OutgoingRecord

_PROPAGATOR = TraceContextTextMapPropagator()  # not the global one: baggage is nothing for a topic's headers
_CASE_ID = re.compile(rb"case-[0-9a-f]{32}")
BY = "reasonmed"
"""The instrumentation's name; services/llm/spans.py has the same."""


@contextmanager
def processing(message: ConsumedRecord, *, group: str) -> Iterator[None]:
    """While a message is processed: a span under the one that its headers name, and the case id on all that is logged.
    Of an exception that passes, the span holds the type alone: its text may hold a payload."""
    case_id = case_of(message.key)
    bound = {} if case_id is None else {"case_id": case_id}
    with structlog.contextvars.bound_contextvars(**bound):
        if "traceparent" not in message.headers and isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            yield  # nothing is traced and nothing is propagated: a quarter of the cost
            return
        with _processing(message, group, case_id) as span, _failing(span):
            yield


@contextmanager
def posting(messages: Sequence[OutgoingRecord]) -> Iterator[list[OutgoingRecord]]:
    """While new questions are published: begins a trace for each. Yields them with its traceparent."""
    tracer = trace.get_tracer(BY)
    with ExitStack() as stack:
        posted = []
        for message in messages:
            about = _about("send", message.topic, case_of(message.key))
            span = tracer.start_span(f"send {message.topic}", Context(), SpanKind.PRODUCER, about)
            stack.callback(span.end)
            stack.enter_context(_failing(span))
            posted.append(_stamped(message, trace.set_span_in_context(span, Context())))
        yield posted


def stamped(messages: Sequence[OutgoingRecord]) -> list[OutgoingRecord]:
    """The messages with the current span as their parent, in a header; bodies are unchanged."""
    return [_stamped(message, None) for message in messages]


def failed(kind: str) -> None:
    """The current message ends as a dead letter of this kind."""
    _fail(trace.get_current_span(), kind)


def case_of(key: bytes | None) -> str | None:
    """The case that a message's key names; none for a key that is no case id: its bytes are never shown."""
    return key.decode() if key is not None and _CASE_ID.fullmatch(key) else None


def _processing(message: ConsumedRecord, group: str, case_id: str | None) -> AbstractContextManager[Span]:
    return trace.get_tracer(BY).start_as_current_span(
        f"process {message.topic}",
        context=_parent(message),
        kind=SpanKind.CONSUMER,
        attributes={
            **_about("process", message.topic, case_id),
            "messaging.destination.partition.id": str(message.partition),
            "messaging.kafka.offset": message.offset,
            "messaging.consumer.group.name": group,
        },
        record_exception=False,
        set_status_on_exception=False,
    )


def _about(operation: str, topic: str, case_id: str | None) -> dict[str, AttributeValue]:
    about: dict[str, AttributeValue] = {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": topic,
    }
    if case_id is not None:
        about |= {"messaging.kafka.message.key": case_id, "reasonmed.case_id": case_id}
    return about


def _parent(message: ConsumedRecord) -> Context:
    named = {name: message.headers[name] for name in ("traceparent", "tracestate") if name in message.headers}
    return _PROPAGATOR.extract({name: value.decode(errors="replace") for name, value in named.items()}, Context())


def _stamped(message: OutgoingRecord, context: Context | None) -> OutgoingRecord:
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, context)
    if not carrier:
        return message
    return replace(message, headers={**message.headers, **{name: value.encode() for name, value in carrier.items()}})


@contextmanager
def _failing(span: Span) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        _fail(span, type(error).__name__)
        raise


def _fail(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)
