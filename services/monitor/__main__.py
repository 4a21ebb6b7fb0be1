"""`python -m services.monitor`: one worker, on Faust. Settings: REASONMED_*."""

import asyncio

from services.contracts.topics import dead_topic
from services.ledger import open_status_store
from services.monitor.events import FOLLOWED, SERVICE
from services.monitor.handler import CaseRecorder
from services.monitor.metrics import FiguresMetrics
from services.monitor.publisher import FiguresPublisher
from services.runtime.engine.limits import Limits
from services.runtime.engine.metrics import EngineMetrics, registry
from services.runtime.faust.client import build
from services.runtime.faust.source import InOrder
from services.runtime.kafka.lags import LagWatch
from services.runtime.kafka.source import GroupTimes
from services.runtime.process.health import HealthServer
from services.runtime.process.settings import Settings
from services.runtime.process.settings_help import told
from services.worker.context import parts, run


def main() -> None:
    """Work until SIGTERM."""
    told(SERVICE, Settings)
    run(work)


async def work(stop: asyncio.Event) -> None:
    """Note where cases stand, and publish figures, until `stop`."""
    settings = Settings()
    async with (
        parts(SERVICE, settings) as its,
        open_status_store(settings.ledger.get_secret_value()) as standings,
    ):
        noting = CaseRecorder(standings, its.ledger.budgets.settle)
        worker = InOrder(
            build(SERVICE, its.client, GroupTimes(session_s=settings.session_s)),
            client=its.client,
            service=SERVICE,
            owner=its.owner,
            handlers=dict.fromkeys(FOLLOWED, noting),
            sink=its.sink,
            attempts=its.ledger.attempts,
            holds=its.holds,
            dead_topic=dead_topic(SERVICE),
            limits=Limits(drain_s=settings.drain_s),
        )
        looking = FiguresPublisher(
            standings,
            attempts=its.ledger.attempts,
            budgets=its.ledger.budgets,
            books=its.ledger.books,
            lags=LagWatch(its.client),
            seen=noting.seen,
        )
        exported = registry(
            EngineMetrics(SERVICE, worker.stats, its.holds), FiguresMetrics(noting.seen, lambda: looking.figures)
        )
        async with (
            HealthServer(host=settings.host, port=settings.port or 0, health=worker.health, registry=exported),
            asyncio.TaskGroup() as group,
        ):
            looks = group.create_task(looking.run())
            await worker.run(stop)
            looks.cancel()


if __name__ == "__main__":
    main()
