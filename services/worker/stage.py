"""A worker of a stage that waits for models: the engine, its handler, and the models behind the ledger."""

import asyncio
from collections.abc import Sequence
from functools import partial

from services.contracts.topics import both_lanes
from services.llm.client import ChatClient
from services.llm.dispatcher import Dispatcher
from services.llm.pace import Pace
from services.runtime.kafka.source import KafkaSource
from services.runtime.process.settings import Settings, loaded
from services.worker.context import process_context, run_service
from services.worker.handling import CaseHandler, stage
from services.worker.metrics import ModelMetrics
from services.worker.reporting import keep_reporting


def run_stage(
    service: str,
    *,
    topics: Sequence[str],
    handler: CaseHandler,
    group: str | None = None,
    arguments: Sequence[str] | None = None,
) -> None:
    """Run one worker of a service until SIGTERM. `topics`: read in both lanes; the first is taken first. `group`: the
    consumer group, if not the service's name. `arguments`: those of the command line that the service has not read
    itself; None: all."""

    async def main(stop: asyncio.Event) -> None:
        await _work(service, both_lanes(*topics), group or service, handler, loaded(Settings), stop)

    run_service(service, Settings, main, arguments=arguments)


async def _work(
    service: str, topics: Sequence[str], group: str, handler: CaseHandler, settings: Settings, stop: asyncio.Event
) -> None:
    async with (
        process_context(service, settings) as context,
        ChatClient(settings.models) as chat,
        Dispatcher(
            chat,
            context.ledger.calls,
            endpoints=settings.models,
            owner=context.owner,
            holds=context.holds,
            pace=Pace(lease_s=settings.lease_s, drain_s=settings.drain_s, backfill_share=settings.backfill_share),
        ) as models,
        asyncio.TaskGroup() as tasks,
    ):
        reporting = tasks.create_task(keep_reporting(models, context.ledger.reports, context.owner))
        engine = context.engine(
            source=KafkaSource(context.client, topics=topics, group=group, times=context.times),
            handle=stage(handler, context.recipes, models.of),
            group=group,
            by_priority=topics,
            on_drain=models.drain,
        )
        metrics, remarks = ModelMetrics(group, models), partial(_down, models)
        await context.run(engine, stop, metrics, remarks=remarks, drained=models.drained)
        reporting.cancel()


def _down(models: Dispatcher) -> list[str]:
    """Which models take no calls, and why."""
    return [f"model {alias} takes no calls ({down.reason}): {down.why}" for alias, down in models.status().items()]
