"""A worker of a stage that waits for models: the engine, its handler, and the models behind the ledger."""

import asyncio

from services.contracts.topics import dead_topic
from services.llm.client import ChatClient
from services.llm.dispatcher import Dispatcher
from services.llm.pace import Pace
from services.runtime.engine.engine import Engine
from services.runtime.engine.limits import Limits
from services.runtime.engine.metrics import EngineMetrics, registry
from services.runtime.kafka.source import GroupTimes, KafkaSource
from services.runtime.process.health import HealthServer
from services.runtime.process.settings import Settings
from services.runtime.process.settings_help import told
from services.worker.context import parts, run
from services.worker.handling import CaseHandler, stage
from services.worker.metrics import ModelMetrics


def run_stage(service: str, *, topic: str, handler: CaseHandler, group: str | None = None) -> None:
    """Run one worker of a service until it is told to go. `group`: the consumer group, if not the service's name."""

    async def main(stop: asyncio.Event) -> None:
        await _work(service, topic, group or service, handler, Settings(), stop)

    told(service, Settings)
    run(main)


async def _work(
    service: str, topic: str, group: str, handler: CaseHandler, settings: Settings, stop: asyncio.Event
) -> None:
    async with (
        parts(service, settings) as its,
        ChatClient(settings.models) as chat,
        Dispatcher(
            chat,
            its.ledger.calls,
            endpoints=settings.models,
            owner=its.owner,
            holds=its.holds,
            pace=Pace(lease_s=settings.lease_s, drain_s=settings.drain_s),
        ) as models,
    ):
        engine = Engine(
            service=group,
            owner=its.owner,
            source=KafkaSource(its.client, topics=[topic], group=group, times=GroupTimes(session_s=settings.session_s)),
            sink=its.sink,
            handle=stage(handler, its.recipes, models),
            attempts=its.ledger.attempts,
            holds=its.holds,
            dead_topic=dead_topic(service),
            limits=Limits(cases=settings.cases, drain_s=settings.drain_s),
            on_drain=models.drain,
        )
        exported = registry(EngineMetrics(group, engine.stats, its.holds), ModelMetrics(group, models))
        async with HealthServer(host=settings.host, port=settings.port or 0, health=engine.health, registry=exported):
            await engine.run(stop)
