"""`python -m services.monitor`: one worker, on Faust. Settings: REASONMED_*."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

from services.ledger import ledger_folder, open_status_store
from services.monitor.events import FOLLOWED, SERVICE
from services.monitor.handler import CaseRecorder
from services.monitor.metrics import FiguresMetrics
from services.monitor.publisher import FiguresPublisher, OwnInputs
from services.runtime.faust.client import build
from services.runtime.faust.source import FaustSource
from services.runtime.kafka.admin import LagWatch
from services.runtime.process.settings import Settings, loaded
from services.worker.context import process_context, run_service


def main() -> None:
    """Work until SIGTERM."""
    run_service(SERVICE, Settings, work)


async def work(stop: asyncio.Event) -> None:
    """Record the status of cases, and publish figures, until `stop`."""
    settings = loaded(Settings)
    async with (
        process_context(SERVICE, settings) as context,
        open_status_store(settings.ledger.get_secret_value()) as statuses,
        asyncio.TaskGroup() as group,
    ):
        recorder = CaseRecorder(statuses, context.ledger.budgets.settle)
        publisher = FiguresPublisher(
            statuses,
            circuits=context.ledger.circuits,
            budgets=context.ledger.budgets,
            reports=context.ledger.reports,
            books=context.ledger.books,
            lags=LagWatch(context.client),
            own=OwnInputs(
                seen=recorder.seen,
                recipe=lambda: context.recipes.latest,
                disk_free=_free(ledger_folder(settings.ledger.get_secret_value())),
            ),
        )
        app = build(SERVICE, context.client, context.times)
        engine = context.engine(
            source=FaustSource(app, client=context.client, topics=FOLLOWED), handle=recorder, in_order=True
        )
        publishing = group.create_task(publisher.run())
        metrics = FiguresMetrics(recorder.seen, lambda: publisher.figures)
        await context.run(engine, stop, metrics, pages={"/scale": publisher.scale})
        publishing.cancel()


def _free(folder: Path | None) -> Callable[[], int | None]:
    return lambda: None if folder is None else shutil.disk_usage(folder).free


if __name__ == "__main__":
    main()
