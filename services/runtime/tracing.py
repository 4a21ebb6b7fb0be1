"""Where traces go: OpenTelemetry's SDK, set up once at a process's start. The only place that knows the SDK.

Off unless OpenTelemetry's own settings name a collector (runtime/settings.py); then spans leave over OTLP/HTTP in the
background: a queue of 2,048, and what doesn't fit is dropped. A collector that is away costs spans, and nothing else.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from services.runtime import spans
from services.runtime.settings import TraceSettings

FLUSH_S = 5.0
"""That a process which ends waits for its last spans to leave, at most."""


class Ours(TracerProvider):
    """Takes our spans alone. FastAPI tells its own, a probe's too, as soon as there is whom to tell: they are of no
    case, and nobody here has looked at what is in them."""

    def get_tracer(self, instrumenting_module_name: str, *rest: Any, **more: Any) -> trace.Tracer:
        """The tracer of that name; for anyone else, one that does nothing."""
        if instrumenting_module_name != spans.BY:
            return trace.NoOpTracer()
        return super().get_tracer(instrumenting_module_name, *rest, **more)


@contextmanager
def traced(*, service: str, owner: str, settings: TraceSettings | None = None) -> Iterator[None]:
    """Trace while this is open, if a collector is set. Once in a process."""
    if (settings or TraceSettings()).collector is None:
        yield
        return
    about = Resource.create({"service.name": f"reasonmed-{service}", "service.instance.id": owner})
    provider = Ours(resource=about, shutdown_on_exit=False)  # its own way to end may take 30 s
    # The exporter reads OpenTelemetry's variables itself: address, headers, certificate, timeout, compression.
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        flushing = threading.Thread(target=provider.shutdown, daemon=True)
        flushing.start()
        flushing.join(FLUSH_S)
