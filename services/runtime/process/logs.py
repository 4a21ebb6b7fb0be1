"""Logs: one JSON object a line on stderr, with service and owner; no payloads, no secrets. A line that can't be
written, as on a full disk, is lost; /metrics and /readyz still report."""

import logging
import sys
import time
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog
from opentelemetry import trace
from pydantic import SecretBytes, SecretStr
from structlog.typing import Processor

_QUIET = ("aiokafka", "faust", "mode", "kafka", "aiohttp.access", "httpx", "asyncio", "opentelemetry", "urllib3")
"""Libraries whose logs are kept from WARNING on, at any level: at DEBUG, aiokafka logs whole messages."""


SELDOM_S = 10.0
"""Seconds in which a library logs the same message once: while a broker is away, aiokafka logs 20 lines a second."""


class Seldom(logging.Filter):
    """Passes each message template of a library once in `SELDOM_S` seconds, with any arguments."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._logged: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write the record."""
        if not record.name.startswith(_QUIET):
            return True
        key, now = (record.name, str(record.msg)), self._clock()
        if now - self._logged.get(key, -SELDOM_S) < SELDOM_S:
            return False
        self._logged[key] = now
        return True


def configure(*, service: str, owner: str, level: str = "INFO") -> None:
    """Send structlog's and the standard library's logs to stderr as JSON. Once, at the start of a process."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _trace,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _stamp(service, owner),
        _hide,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    handler.addFilter(Seldom())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Faust warns of each commit that takes longer than the commit interval, which is no trouble.
    logging.getLogger("mode.timers").setLevel(logging.ERROR)


def _trace(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The trace that the line belongs to, where there is one."""
    current = trace.get_current_span().get_span_context()
    return {**event, "trace_id": trace.format_trace_id(current.trace_id)} if current.is_valid else event


def _stamp(service: str, owner: str) -> Processor:
    def stamp(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {**event, "service": service, "owner": owner}

    return stamp


def _hide(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Bytes are payloads here, and secrets are secrets: neither is ever written."""
    return {key: _shown(value) for key, value in event.items()}


def _shown(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    return "<secret>" if isinstance(value, SecretStr | SecretBytes) else value
