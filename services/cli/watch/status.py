"""`reasonmed status`: the live figures that the monitor publishes."""

import asyncio
import time
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console import UP, Bootstrap, Failed, Folder, Json, emit, out

if TYPE_CHECKING:
    from pathlib import Path

    from services.core.status.figures import Figures
    from services.core.status.store import StatusStore

LIMIT = 100_000
"""Messages read with --count, at most: some seconds."""
EVERY_S = 1.0
"""Seconds between two looks with --watch: as often as the monitor publishes."""


def status(
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
    watch: Annotated[bool, typer.Option("--watch", help="Show them again each second, until Ctrl-C.")] = False,
    count: Annotated[
        bool, typer.Option("--count", help="Count the topics themselves instead: slower, and needs no monitor.")
    ] = False,
    limit: Annotated[
        int, typer.Option(help="With --count: read at most so many messages; beyond, only offsets are counted.")
    ] = LIMIT,
    json: Json = False,
) -> None:
    """Show what stands where: by topic the open cases, the oldest, rates and lag; ends, cost, calls, circuits.

    The monitor makes these figures once a second, and they say how old they are. --count needs none: it reads the
    topics, and where they hold more than --limit messages, leaves out cases and ends.

    Example:  reasonmed status --json | jq .ends
    """
    if count:
        _count(bootstrap, folder, limit, json=json)
        return
    from services.cli.coordinates import ledger

    asyncio.run(_status(ledger(folder), watch=watch, json=json))


def _count(bootstrap: str | None, folder: "Path", limit: int, *, json: bool) -> None:
    from services.cli.coordinates import client
    from services.cli.ingest import count

    seen = asyncio.run(count.look(client(bootstrap, folder), limit))
    emit(seen) if json else count.show(seen)


async def _status(url: str, *, watch: bool, json: bool) -> None:
    from services.cli.watch.figures_view import shown
    from services.ledger import open_status_store

    async with open_status_store(url) as standings:
        if watch and not json:
            await _watch(standings)
            return
        figures = await read(standings)
        emit(figures.model_dump()) if json else out.print(shown(figures, time.time()))


async def _watch(standings: "StatusStore") -> None:
    from rich.live import Live

    from services.cli.watch.figures_view import shown

    with Live(console=out, auto_refresh=False, screen=out.is_terminal) as live:
        while True:
            live.update(shown(await read(standings), time.time()), refresh=True)
            await asyncio.sleep(EVERY_S)


async def read(standings: "StatusStore") -> "Figures":
    """The figures that were published last. Raises Failed where there are none, LedgerAway."""
    from services.core.status.figures import Figures

    if (published := await standings.published()) is None:
        raise Failed(
            "no monitor has published figures here: start one (python -m services.monitor), or count the topics "
            "with --count"
        )
    return Figures.model_validate_json(published)
