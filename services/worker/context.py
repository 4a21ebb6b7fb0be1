"""The parts that every worker has, as one `async with`: the order of closing is the order of reading, from below."""

import asyncio
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import structlog

from services.contracts.topics import RECIPES
from services.core.errors import BrokerAway
from services.core.holds import Holds
from services.core.owner import Owner
from services.ledger import Ledger, open_ledger
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.reader import follow_topic
from services.runtime.kafka.sink import KafkaSink
from services.runtime.process import logs, tracing
from services.runtime.process.settings import Settings
from services.worker.recipes import Recipes

log = structlog.get_logger(__name__)

AGAIN_S = 1.0
"""Seconds between two tries to read the recipes."""


@dataclass(frozen=True)
class ProcessContext:
    """What a worker works with."""

    service: str
    owner: str
    """This process: a name that no other has, had, or will have. It holds leases under it."""
    settings: Settings
    client: KafkaClient
    holds: Holds
    ledger: Ledger
    sink: KafkaSink
    recipes: Recipes


def own_name(service: str, name: str | None) -> Owner:
    """A new name for this process: `name` (else the host's), service, pid, and random digits."""
    return Owner(name or socket.gethostname(), service, os.getpid(), secrets.token_hex(4))


@asynccontextmanager
async def parts(service: str, settings: Settings) -> AsyncIterator[ProcessContext]:
    """A worker's parts, connected as far as need be, and closed in order."""
    owner = str(own_name(service, settings.name))
    client = replace(settings.kafka, name=f"reasonmed-{service}")
    logs.configure(service=service, owner=owner)
    with tracing.traced(service=service, owner=owner):
        async with _parts(service, owner, settings, client) as its:
            yield its


@asynccontextmanager
async def _parts(service: str, owner: str, settings: Settings, client: KafkaClient) -> AsyncIterator[ProcessContext]:
    async with (
        open_ledger(settings.ledger.get_secret_value()) as ledger,
        KafkaSink(client) as sink,
        asyncio.TaskGroup() as group,
    ):
        holds = Holds()
        recipes = Recipes(holds)
        following = group.create_task(_follow(client, recipes))
        yield ProcessContext(service, owner, settings, client, holds, ledger, sink, recipes)
        following.cancel()


async def _follow(client: KafkaClient, recipes: Recipes) -> None:
    while True:
        recipes.caught_up.clear()  # read from the beginning, the topic names older current recipes first
        try:
            await recipes.follow(follow_topic(client, RECIPES, caught_up=recipes.caught_up))
        except BrokerAway as away:
            log.warning("recipes can't be read", error=str(away))
        await asyncio.sleep(AGAIN_S)


def run(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Run a worker until SIGTERM or Ctrl-C sets its event and it has drained: exit 0. Anything else is a traceback in
    the log and exit 1: the supervisor starts it again."""

    async def until_signalled() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await main(stop)

    asyncio.run(until_signalled())
