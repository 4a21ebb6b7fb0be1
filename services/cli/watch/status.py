"""`reasonmed status`: the live figures that the monitor publishes, or counts taken from the topics."""

import asyncio
from typing import Annotated

import typer

from services.cli import coordinates
from services.cli.console import UP, Bootstrap, Folder, Json, Wide, emit
from services.cli.watch import count as counting
from services.cli.watch import live

LIMIT = 100_000
"""Messages read with --count, at most: some seconds."""


def status(
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh each second, until Ctrl-C.")] = False,
    count: Annotated[
        bool, typer.Option("--count", help="Count the topics themselves: slower, and needs no monitor.")
    ] = False,
    limit: Annotated[
        int, typer.Option(help="With --count: messages to read at most; beyond, only offsets count.")
    ] = LIMIT,
    json: Json = False,
    wide: Wide = False,
) -> None:
    """Show the live figures of the stream: open cases by topic, rates, lag, ends, cost, calls, circuits.

    The monitor publishes them once a second; their age is shown. --count needs no monitor: it reads the topics, and
    leaves out cases and ends where they hold more than --limit messages.

    Example:  reasonmed status --json | jq .ends
    """
    if not count:
        asyncio.run(live.print_figures(coordinates.ledger(folder), watch=watch, json=json, wide=wide))
        return
    counts = asyncio.run(counting.look(coordinates.client(bootstrap, folder), limit))
    emit(counts) if json else counting.show(counts, wide=wide)
