"""What every service's process begins and ends with: its name, its log, its traces, and the signal that ends it."""

import asyncio
import os
import secrets
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, TypeVar

import structlog

from services.core.owner import Owner
from services.runtime.kafka.client import KafkaClient
from services.runtime.process import logs, tracing
from services.runtime.process.settings import Settings

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Process:
    """This process, as others see it."""

    owner: Owner
    """A name that no other process has, had or will have."""
    client: KafkaClient
    """How it reaches Kafka; brokers' logs call it reasonmed-SERVICE."""


@contextmanager
def process(service: str, settings: Settings) -> Iterator[Process]:
    """Log and trace under this process's own name. Spans are sent before it ends."""
    owner = own_name(service, settings.name)
    logs.configure(service=service, owner=str(owner))
    log.info("started", version=version("reasonmed-stream"), kafka=settings.kafka.bootstrap)
    with tracing.traced(service=service, owner=str(owner)):
        yield Process(owner, replace(settings.kafka, name=f"reasonmed-{service}"))


def own_name(service: str, name: str | None) -> Owner:
    """A new name for this process: `name` (else the host's), service, pid, and random digits."""
    return Owner(name or socket.gethostname(), service, os.getpid(), secrets.token_hex(4))


def run(main: Callable[[asyncio.Event], Coroutine[Any, Any, T]]) -> T:
    """Run until SIGTERM or Ctrl-C sets the event and `main` has drained. Anything that it raises is a traceback in the
    log and exit 1: the supervisor starts the process again."""

    async def until_signalled() -> T:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        return await main(stop)

    return asyncio.run(until_signalled())
