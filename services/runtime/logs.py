"""Logs: one JSON object a line on stderr, with service and owner; no payloads, no secrets."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from pydantic import SecretBytes, SecretStr
from structlog.typing import Processor

_QUIET = ("aiokafka", "faust", "mode", "kafka", "aiohttp.access", "httpx", "asyncio")
"""Libraries that are heard from WARNING on, whatever the level: at DEBUG, aiokafka logs whole messages."""


def configure(*, service: str, owner: str, level: str = "INFO") -> None:
    """Send structlog's and the standard library's logs to stderr as JSON. Once, at the start of a process."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
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
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Faust says at each commit that takes longer than the commit interval that it does: that is no trouble.
    logging.getLogger("mode.timers").setLevel(logging.ERROR)


def _stamp(service: str, owner: str) -> Processor:
    def stamp(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {**event, "service": service, "owner": owner}

    return stamp


def _hide(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Bytes are payloads here, and secrets are secrets: neither is written, whoever logs it."""
    return {key: _shown(value) for key, value in event.items()}


def _shown(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    return "<secret>" if isinstance(value, SecretStr | SecretBytes) else value
