"""`reasonmed-exporter`: topics into Delta tables, until SIGTERM or, with --once, up to the present end."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import structlog
import typer

from services.core.errors import Trouble
from services.exporter import thinking
from services.exporter.exporter import Exporter
from services.exporter.holding import Holding
from services.exporter.layout import PATHS, RECORDS, Layout
from services.exporter.metrics import Metrics, TableMetrics
from services.exporter.partition import SERVICE
from services.exporter.settings import ExporterSettings
from services.exporter.table import Table, check_conditional_writes, is_local, table_uri
from services.exporter.thinking import ReadThinking
from services.exporter.watch import Watch, healthy
from services.ledger.open import open_ledger
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
    """Write record-completed into a Delta table, and the paths of ended cases into a second one, each once."""
    settings = loaded(ExporterSettings)
    with process(SERVICE, settings) as own:
        uri = table_uri(out or settings.export.out)
        ended_well = run(partial(_work, settings, own.client, uri, once))
    if not ended_well:
        raise typer.Exit(1)


async def _work(settings: ExporterSettings, client: KafkaClient, uri: str, once: bool, stop: asyncio.Event) -> bool:
    """Returns whether it ended without an error."""
    try:
        async with _open(settings, client, uri, once=once) as exporters, asyncio.TaskGroup() as group:
            if not once:
                for exporter in exporters:
                    group.create_task(exporter.run(stop))
                return True
            runs = [group.create_task(exporter.run_once(stop)) for exporter in exporters]
        if all(each.result() for each in runs):
            return True
        log.error("stopped before the end of the topics: start it again, it resumes from the last commit")
    except* (Trouble, Stalled) as errors:
        for error in _each(errors):
            log.error("ended", error=str(error))
    return False


def _each(errors: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """The errors of all nested groups."""
    nested = [_each(error) if isinstance(error, BaseExceptionGroup) else [error] for error in errors.exceptions]
    return [error for some in nested for error in some]


@dataclass(frozen=True, kw_only=True)
class _Tables:
    """What the tables of a process share."""

    settings: ExporterSettings
    client: KafkaClient
    sink: KafkaSink
    metrics: Metrics
    uri: str
    """Of the dataset."""
    once: bool

    @asynccontextmanager
    async def open(self, layout: Layout, read: ReadThinking) -> AsyncIterator[tuple[Exporter, Watch]]:
        """The exporter of a table, and its watch."""
        limits, clock, uri = self.settings.export.limits, time.monotonic, layout.uri(self.uri)
        metrics = TableMetrics(self.metrics, layout.name)
        group = None if self.once else layout.group
        consumer = PositionedConsumer(self.client, layout.topics, group=group, session_s=self.settings.session_s)
        await consumer.start()
        try:
            holding = Holding(consumer, partial(_table, uri, layout), limits=limits, where=uri)
            exporter = Exporter(
                consumer,
                self.sink,
                holding,
                group=layout.group,
                thinking=read,
                limits=limits,
                metrics=metrics,
                clock=clock,
            )
            answers = partial(reachable, self.client)
            yield exporter, Watch(consumer, holding, reachable=answers, metrics=metrics, clock=clock)
        finally:
            await consumer.stop()


@asynccontextmanager
async def _open(
    settings: ExporterSettings, client: KafkaClient, uri: str, *, once: bool
) -> AsyncIterator[list[Exporter]]:
    """The exporters and their dependencies; the last opened is closed first. A watch that raises cancels the body."""
    metrics = Metrics()
    if is_local(uri):
        metrics.watch_disk(Path(uri))
    async with AsyncExitStack() as stack:
        sink = await stack.enter_async_context(KafkaSink(client))
        tables = _Tables(settings=settings, client=client, sink=sink, metrics=metrics, uri=uri, once=once)
        opened = [await stack.enter_async_context(tables.open(RECORDS, thinking.none))]
        if settings.export.paths:
            ledger = await stack.enter_async_context(open_ledger(settings.ledger.get_secret_value()))
            opened.append(await stack.enter_async_context(tables.open(PATHS, thinking.of_paths(ledger.books))))
        watches = [watch for _, watch in opened]
        if settings.port is not None:
            server = HealthServer(
                host=settings.host, port=settings.port, health=partial(healthy, watches), registry=metrics.registry
            )
            await stack.enter_async_context(server)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        watching = [group.create_task(watch.run()) for watch in watches]
        yield [exporter for exporter, _ in opened]
        for task in watching:
            task.cancel()


def _table(uri: str, layout: Layout) -> Table:
    table = Table.open(uri, layout)
    check_conditional_writes(uri)
    return table


if __name__ == "__main__":
    main()
