"""`ProcessContext`: what every worker process is made of, in one `async with`: closed in the reverse order."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import structlog
from prometheus_client.registry import Collector

from services.contracts.topics import dead_topic
from services.core.holds import Holds
from services.ledger import Ledger, open_ledger
from services.runtime.engine.engine import Engine
from services.runtime.engine.handler import Handle
from services.runtime.engine.limits import Limits
from services.runtime.engine.metrics import EngineMetrics, registry
from services.runtime.engine.source import Source
from services.runtime.engine.watchdog import Health
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.membership import GroupTimes
from services.runtime.kafka.sink import KafkaSink
from services.runtime.process.health import HealthServer, Pages
from services.runtime.process.running import process, run
from services.runtime.process.settings import Settings
from services.runtime.process.settings_help import exit_on_arguments
from services.worker.following import follow_recipes
from services.worker.recipes import Recipes

log = structlog.get_logger(__name__)

Main = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
"""What a process does until the event is set."""


@dataclass(frozen=True)
class ProcessContext:
    """What a worker works with."""

    service: str
    owner: str
    """This process: a name that no other process has, had or will have. It holds leases under it."""
    settings: Settings
    client: KafkaClient
    holds: Holds
    ledger: Ledger
    sink: KafkaSink
    recipes: Recipes

    @property
    def times(self) -> GroupTimes:
        """The consumer group's time-outs."""
        return GroupTimes(session_s=self.settings.session_s)

    def engine(
        self,
        *,
        source: Source,
        handle: Handle,
        group: str | None = None,
        in_order: bool = False,
        by_priority: Sequence[str] = (),
        on_drain: Callable[[], None] = lambda: None,
    ) -> Engine:
        """The engine of this process. `group`: the consumer group, if not the service's name. `by_priority`: topics
        that share the room for records in flight in each lane, the first of which is taken first."""
        return Engine(
            service=group or self.service,
            owner=self.owner,
            source=source,
            sink=self.sink,
            handle=handle,
            attempts=self.ledger.attempts,
            circuits=self.ledger.circuits,
            holds=self.holds,
            dead_topic=dead_topic(self.service),
            limits=Limits(
                cases=self.settings.cases,
                leave_s=min(Limits.leave_s, self.settings.drain_s),
                in_order=in_order,
                by_priority=tuple(by_priority),
                backfill_share=self.settings.backfill_share,
            ),
            on_drain=on_drain,
        )

    async def run(
        self,
        engine: Engine,
        stop: asyncio.Event,
        *collectors: Collector,
        remarks: Callable[[], list[str]] = list,
        pages: Pages = MappingProxyType({}),
        drained: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Run the engine until `stop`, and serve its health and metrics: its own, and the collectors'. `remarks`: what
        health says beside its reasons, and what takes no worker out. `pages`: further JSON, by path. `drained` is
        awaited once the group is left: health and metrics are served meanwhile."""
        exported = registry(EngineMetrics(engine.service, engine.counters, engine.state, self.holds), *collectors)
        settings = self.settings

        def health() -> Health:
            own = engine.health()
            return replace(own, why=[*own.why, *remarks()])

        async with HealthServer(
            host=settings.host, port=settings.port or 0, health=health, registry=exported, pages=pages
        ):
            await engine.run(stop)
            if drained is not None:
                await drained()


@asynccontextmanager
async def process_context(service: str, settings: Settings) -> AsyncIterator[ProcessContext]:
    """A worker's context, connected as far as necessary, and closed in order."""
    with process(service, settings) as own:
        async with (
            open_ledger(settings.ledger.get_secret_value()) as ledger,
            KafkaSink(own.client) as sink,
            asyncio.TaskGroup() as group,
        ):
            holds = Holds()
            recipes = Recipes(holds)
            following = group.create_task(follow_recipes(own.client, recipes))
            yield ProcessContext(service, str(own.owner), settings, own.client, holds, ledger, sink, recipes)
            following.cancel()


def run_service(service: str, settings: type[Settings], main: Main, *, arguments: Sequence[str] | None = None) -> None:
    """A service's entry point: print --help, or run `main` until SIGTERM or Ctrl-C. `arguments`: those that the service
    has not read itself; None: all of the command line's."""
    exit_on_arguments(service, settings, arguments)
    run(main)
