"""OpenTelemetry's SDK: the only place that knows it. Loaded where a collector is set: to load it adds a fifth to the
CPU that a worker takes to start (1.17 s and 1.42 s, measured)."""

from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from services.runtime.engine import spans


class Ours(TracerProvider):
    """Exports our spans alone. FastAPI creates its own, for probes too, as soon as a provider is set: they belong to no
    case, and their content has not been reviewed."""

    def get_tracer(self, instrumenting_module_name: str, *rest: Any, **more: Any) -> trace.Tracer:
        """The tracer of that name; for anyone else, one that does nothing."""
        if instrumenting_module_name != spans.BY:
            return trace.NoOpTracer()
        return super().get_tracer(instrumenting_module_name, *rest, **more)


def provider(*, service: str, owner: str) -> Ours:
    """Sends spans in the background. The exporter reads OpenTelemetry's variables itself: address, headers,
    certificate, timeout, compression."""
    about = Resource.create({"service.name": f"reasonmed-{service}", "service.instance.id": owner})
    made = Ours(resource=about, shutdown_on_exit=False)  # its own way to end may take 30 s
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return made
