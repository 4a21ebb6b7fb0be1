"""`reasonmed-gateway`: serve until SIGTERM; what is under way then is answered first."""

import asyncio
import os
import signal
from dataclasses import replace
from functools import partial

import uvicorn

from services.gateway.app import PUBLISH_WITHIN_S, create_app
from services.runtime import logs
from services.runtime.reachable import reachable
from services.runtime.settings import Settings
from services.runtime.sink import KafkaSink

SERVICE = "gateway"
PORT = 8080
DRAIN_S = PUBLISH_WITHIN_S + 5
"""Seconds for requests under way after SIGTERM: the longest wait for Kafka, and a body still on its way."""


def main() -> None:
    """Exit 0 after SIGTERM or Ctrl-C."""
    # uvicorn raises the signal again when it has drained; by default that would end the process before its exit 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    settings = Settings()
    logs.configure(service=SERVICE, owner=settings.name or f"{SERVICE}-{os.getpid()}")
    asyncio.run(serve(settings))


async def serve(settings: Settings) -> None:
    """Until a signal ends it. Starts without Kafka too: not ready then, and answering 503."""
    client = replace(settings.kafka, name=SERVICE)
    async with KafkaSink(client, confirm_s=PUBLISH_WITHIN_S) as sink:
        config = uvicorn.Config(
            create_app(sink, partial(reachable, client)),
            host=settings.host,
            port=PORT if settings.port is None else settings.port,
            log_config=None,  # ours
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=int(DRAIN_S),
        )
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    main()
