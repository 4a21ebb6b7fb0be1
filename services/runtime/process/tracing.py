"""Whether traces go anywhere: set up once at a process's start.

Off unless OpenTelemetry's own settings name a collector (runtime/process/settings.py); then spans leave over OTLP/HTTP
in the background: a queue of 2,048, and what doesn't fit is dropped. A collector that is away
costs spans, and nothing else.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace

from services.runtime.process.settings import TraceSettings

FLUSH_S = 5.0
"""That a process which ends waits for its last spans to leave, at most."""


@contextmanager
def traced(*, service: str, owner: str, settings: TraceSettings | None = None) -> Iterator[None]:
    """Trace while this is open, if a collector is set. Once in a process."""
    if (settings or TraceSettings()).collector is None:
        yield
        return
    from services.runtime.process.collector import provider  # the SDK and its exporter: only where one is set

    made = provider(service=service, owner=owner)
    trace.set_tracer_provider(made)
    try:
        yield
    finally:
        flushing = threading.Thread(target=made.shutdown, daemon=True)
        flushing.start()
        flushing.join(FLUSH_S)
