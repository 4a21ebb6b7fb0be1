"""`reasonmed-gateway`: serve until SIGTERM, and answer the requests in flight first."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog
import uvicorn

from services.gateway.app import Outside, create_app
from services.gateway.http.connections import BACKLOG, HEAD_WITHIN_S, Connection
from services.gateway.ingest.body import READ_WITHIN_S
from services.gateway.ingest.publishing import PUBLISH_WITHIN_S
from services.gateway.read.calls import LazyBooks
from services.gateway.read.lazily import Lazily
from services.gateway.read.reading import Store
from services.gateway.settings import GatewaySettings
from services.ledger import open_ledger, open_status_store
from services.runtime.kafka.admin import reachable
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.reader import read_at
from services.runtime.kafka.sink import KafkaSink
from services.runtime.process.running import process
from services.runtime.process.settings import loaded
from services.runtime.process.settings_help import exit_on_arguments
from services.worker.following import follow_recipes
from services.worker.recipes import Recipes

SERVICE = "gateway"
PORT = 8080
DRAIN_S = READ_WITHIN_S + PUBLISH_WITHIN_S
"""Seconds for requests in flight after SIGTERM: the rest of a body, then the longest wait for Kafka's confirmation."""

log = structlog.get_logger(__name__)


def main() -> None:
    """Exit 0 after SIGTERM or Ctrl-C."""
    exit_on_arguments(SERVICE, GatewaySettings)
    # uvicorn raises the signal again when it has drained; by default that would end the process before its exit 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    settings = loaded(GatewaySettings)
    with process(SERVICE, settings) as own:
        asyncio.run(serve(settings, own.client))


async def serve(settings: GatewaySettings, client: KafkaClient) -> None:
    """Serve until a signal. Without Kafka the gateway starts, is not ready, and answers 503. Without the store it
    accepts questions, and has no cases to show."""
    port = PORT if settings.port is None else settings.port
    log.info("starting", host=settings.host, port=port, keys=len(settings.gateway.keys))
    if not settings.gateway.keys:
        log.warning("no API keys are set: any client that reaches the gateway may submit questions")
    draining = asyncio.Event()
    store = Store(partial(open_status_store, settings.ledger.get_secret_value()))
    recipes = Recipes()
    ledger = Lazily(partial(open_ledger, settings.ledger.get_secret_value()))
    async with (
        KafkaSink(client, confirm_s=PUBLISH_WITHIN_S) as sink,
        store.until_closed(),
        ledger.until_closed(),
        _followed(client, recipes),
    ):
        outside = Outside(
            sink=sink,
            reachable=partial(reachable, client),
            lookup=store,
            bodies=partial(read_at, client),
            books=LazyBooks(ledger),
            recipe_of=recipes.known,
            published=recipes.names,
        )
        config = uvicorn.Config(
            create_app(outside, keys=settings.gateway.keys, draining=draining),
            host=settings.host,
            port=port,
            log_config=None,  # keep our own logging
            log_level="error",  # a warning per invalid HTTP request would let any client fill the disk
            access_log=False,
            server_header=False,
            http=Connection,
            ws="none",
            backlog=BACKLOG,
            timeout_keep_alive=HEAD_WITHIN_S,
            timeout_graceful_shutdown=int(DRAIN_S),
        )
        await Server(config, draining).serve()


@asynccontextmanager
async def _followed(client: KafkaClient, recipes: Recipes) -> AsyncIterator[None]:
    following = asyncio.create_task(follow_recipes(client, recipes))
    try:
        yield
    finally:
        following.cancel()
        await asyncio.wait({following})


class Server(uvicorn.Server):
    """Tells the application when it drains: streams end then, and are waited for."""

    def __init__(self, config: uvicorn.Config, draining: asyncio.Event) -> None:
        super().__init__(config)
        self._draining = draining

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, and close the open ones."""
        self._draining.set()
        await super().shutdown(sockets)


if __name__ == "__main__":
    main()
