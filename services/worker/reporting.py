"""Tells whoever watches the stream which models take no calls, or seem to hang, as this worker sees it."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

from services.core.errors import LedgerAway
from services.core.ledger.reports import ModelReport, ModelReports
from services.llm.dispatcher import Dispatcher

EVERY_S = 2.0
LASTS_S = 10.0
"""Seconds for which a report counts without another."""
LEAST_S = 10.0
"""A younger call is never called slow."""
WITHOUT_HISTORY_S = 300.0
"""Age from which a call is slow where none of its kind has ended in this process yet."""


def reports(models: Dispatcher, now: float) -> Iterator[ModelReport]:
    """What is wrong now, by the event loop's clock: at most one report for each alias."""
    down = models.status()
    for alias, why in down.items():
        yield ModelReport(alias, "away", f"{why.why} ({why.reason}, for {why.for_s:.0f} s)")
    slow = {alias: text for alias, text in _slow(models, now) if alias not in down}
    for alias, text in slow.items():
        yield ModelReport(alias, "slow", text)


def _slow(models: Dispatcher, now: float) -> Iterator[tuple[str, str]]:
    for (alias, stage), begun in models.stats.oldest().items():
        age, usual = now - begun, models.stats.usual_s(alias, stage)
        most = WITHOUT_HISTORY_S if usual is None else max(LEAST_S, 2 * usual)
        if age > most:
            than = "none has ended yet" if usual is None else f"99 of 100 took at most {usual:g} s"
            yield alias, f"a {stage} call has no reply after {age:.0f} s, and {than}"


async def keep_reporting(models: Dispatcher, ledger: ModelReports, owner: str) -> None:
    """Until cancelled. While the ledger is away nothing is told: that is a problem of its own."""
    told = False
    clock = asyncio.get_running_loop().time
    while True:
        found = list(reports(models, clock()))
        if found or told:
            with suppress(LedgerAway):
                await ledger.report(owner, found, for_s=LASTS_S)
                told = bool(found)
        await asyncio.sleep(EVERY_S)
