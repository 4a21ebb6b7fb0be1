"""A worker of a stage that waits for models: the engine, its handler, and the models behind the ledger."""

import asyncio
from collections.abc import Collection, Sequence
from functools import partial

import structlog

from services.contracts.case import Stage
from services.contracts.recipe import Recipe
from services.contracts.topics import both_lanes
from services.llm.check import aliases
from services.llm.client import ChatClient
from services.llm.dispatcher import Dispatcher
from services.llm.pace import Pace
from services.runtime.kafka.source import KafkaSource
from services.runtime.process.settings import Settings, loaded
from services.worker.context import process_context, run_service
from services.worker.handling import CaseHandler, stage
from services.worker.metrics import ModelMetrics
from services.worker.recipes import Recipes
from services.worker.reporting import keep_reporting

log = structlog.get_logger(__name__)


def run_stage(
    service: str,
    *,
    topics: Sequence[str],
    handler: CaseHandler,
    stages: Collection[Stage],
    group: str | None = None,
    arguments: Sequence[str] | None = None,
) -> None:
    """Run one worker of a service until SIGTERM.

    `topics`: read in both lanes; the first is taken first. `stages`: those that its handler asks models for. `group`:
    the consumer group, if not the service's name. `arguments`: those of the command line that the service has not read
    itself; None: all. Exits 1 if REASONMED_MODELS is empty, since every recipe needs a model.
    """

    async def main(stop: asyncio.Event) -> None:
        settings = loaded(Settings)
        if not settings.models:
            raise SystemExit(f"{service}: REASONMED_MODELS is empty: set an endpoint for each alias of the recipe")
        await _work(service, both_lanes(*topics), group or service, handler, stages, settings, stop)

    run_service(service, Settings, main, arguments=arguments)


async def _work(
    service: str,
    topics: Sequence[str],
    group: str,
    handler: CaseHandler,
    stages: Collection[Stage],
    settings: Settings,
    stop: asyncio.Event,
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
        watching = tasks.create_task(name_missing_endpoints(context.recipes, stages, models))
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
        watching.cancel()


async def name_missing_endpoints(recipes: Recipes, stages: Collection[Stage], models: Dispatcher) -> None:
    """Until cancelled: log, once for each current recipe, its aliases of these stages that have no endpoint. Health and
    metrics name them too. The worker goes on: cases of an older recipe may have theirs."""
    recipe: Recipe | None = None
    while True:
        recipe = await recipes.next_current(recipe)
        if missing := models.expect(aliases(recipe, stages)):
            log.error(
                "aliases of the current recipe have no endpoint: add them to REASONMED_MODELS and restart",
                recipe=recipe.name,
                aliases=missing,
            )


def _down(models: Dispatcher) -> list[str]:
    """Which models take no calls, and why."""
    return [f"model {alias} takes no calls ({down.reason}): {down.why}" for alias, down in models.status().items()]
