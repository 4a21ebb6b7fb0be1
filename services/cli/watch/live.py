"""The live figures that the monitor publishes, read from its store and printed."""

import asyncio
import time

from rich.live import Live

from services.cli.console import Failed, emit, out
from services.cli.watch.figures_view import figures_view
from services.core.status.figures import Figures
from services.core.status.history import KEPT_S, MINUTE_S, History, Snapshot, whole
from services.core.status.store import StatusStore
from services.ledger import open_status_store

EVERY_S = 1.0
"""Seconds between two reads with --watch: the monitor publishes once a second."""


async def print_figures(url: str, *, watch: bool, json: bool, wide: bool) -> None:
    """Print the figures of the store at `url` once; with `watch`, each second until cancelled. Raises Failed where no
    monitor has published any, LedgerAway."""
    async with open_status_store(url) as store:
        if watch and not json:
            await _watch(store, wide=wide)
            return
        figures = await read(store)
        if json:
            emit(figures.model_dump())
            return
        out.print(figures_view(figures, time.time(), past=await _past(store, figures.at), wide=wide))


async def read(store: StatusStore) -> Figures:
    """The latest figures. Raises Failed where no monitor has published any, LedgerAway."""
    if (published := await store.published()) is None:
        raise Failed(
            "no monitor has published figures here: start one (python -m services.monitor), or count the topics "
            "with --count"
        )
    return Figures.model_validate_json(published)


async def _past(store: StatusStore, at: float) -> list[History]:
    """The last hour and the last day."""
    kept = [Snapshot.model_validate_json(each) for each in await store.minutes(int(at - KEPT_S) // MINUTE_S)]
    return [whole(kept, span_s) for span_s in (3_600, KEPT_S)]


async def _watch(store: StatusStore, *, wide: bool) -> None:
    with Live(console=out, auto_refresh=False, screen=out.is_terminal) as live:
        while True:
            figures = await read(store)
            view = figures_view(figures, time.time(), past=await _past(store, figures.at), wide=wide)
            live.update(view, refresh=True)
            await asyncio.sleep(EVERY_S)
