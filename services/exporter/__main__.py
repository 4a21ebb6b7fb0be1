"""`reasonmed-exporter`: record-completed into a Delta table, until SIGTERM or, with --once, up to the present end."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import structlog
import typer

from services.contracts.topics import RECORD_COMPLETED
from services.core.errors import Trouble
from services.exporter.exporter import Exporter
from services.exporter.holding import Holding
from services.exporter.metrics import Metrics
from services.exporter.partition import SERVICE
from services.exporter.settings import ExporterSettings
from services.exporter.table import Table, check_conditional_writes, is_local, table_uri
from services.exporter.watch import Watch
from services.runtime.engine.stall import Stalled
from services.runtime.kafka.admin import reachable
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.positioned import PositionedConsumer
from services.runtime.kafka.sink import KafkaSink
from services.runtime.process.health import HealthServer
from services.runtime.process.running import process, run
from services.runtime.process.settings import loaded
from services.runtime.process.settings_help import usage

log = structlog.get_logger(__name__)


def main() -> None:
    """Exit 0 at the end and after SIGTERM, 1 on an error that needs an operator; the last log line has the remedy."""
    app = typer.Typer(
        add_completion=False, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]}
    )
    app.command(epilog="\b\n" + usage(SERVICE, ExporterSettings).replace("\n\n", "\n\n\b\n"))(command)
    app()


def command(
    once: Annotated[bool, typer.Option(help="Read up to the present end, commit, exit.")] = False,
    out: Annotated[str | None, typer.Option(help="The dataset: a folder or a URL, else REASONMED_EXPORT__OUT.")] = None,
) -> None:
    """Write the topic record-completed into a Delta table, each record once."""
    settings = loaded(ExporterSettings)
    with process(SERVICE, settings) as own:
        uri = table_uri(out or settings.export.out)
        ended_well = run(partial(_work, settings, own.client, uri, once))
    if not ended_well:
        raise typer.Exit(1)


async def _work(settings: ExporterSettings, client: KafkaClient, uri: str, once: bool, stop: asyncio.Event) -> bool:
    """Returns whether it ended without an error."""
    try:
        async with _open(settings, client, uri, group=None if once else SERVICE) as exporter:
            if not once:
                await exporter.run(stop)
                return True
            if await exporter.run_once(stop):
                return True
            log.error("stopped before the end of the topic: start it again, it resumes from the last commit")
    except* (Trouble, Stalled) as errors:
        for error in errors.exceptions:
            log.error("ended", error=str(error))
    return False


@asynccontextmanager
async def _open(
    settings: ExporterSettings, client: KafkaClient, uri: str, *, group: str | None
) -> AsyncIterator[Exporter]:
    """The exporter and its dependencies; the last opened is closed first. A watch that raises cancels the body."""
    limits, metrics, clock = settings.export.limits, Metrics(), time.monotonic
    if is_local(uri):
        metrics.watch_disk(Path(uri))
    async with AsyncExitStack() as stack:
        sink = await stack.enter_async_context(KafkaSink(client))
        consumer = PositionedConsumer(client, RECORD_COMPLETED, group=group, session_s=settings.session_s)
        await consumer.start()
        stack.push_async_callback(consumer.stop)
        holding = Holding(consumer, partial(_table, uri), RECORD_COMPLETED, limits=limits, where=uri)
        watch = Watch(consumer, holding, reachable=partial(reachable, client), metrics=metrics, clock=clock)
        if settings.port is not None:
            server = HealthServer(
                host=settings.host, port=settings.port, health=watch.health, registry=metrics.registry
            )
            await stack.enter_async_context(server)
        watching = (await stack.enter_async_context(asyncio.TaskGroup())).create_task(watch.run())
        yield Exporter(consumer, sink, holding, limits=limits, metrics=metrics, clock=clock)
        watching.cancel()


def _table(uri: str) -> Table:
    table = Table.open(uri, RECORD_COMPLETED)
    check_conditional_writes(uri)
    return table


if __name__ == "__main__":
    main()
