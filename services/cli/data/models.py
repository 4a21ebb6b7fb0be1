"""How `evaluate` and `benchmark` call models: through the ledger, with a progress bar, resumable."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from rich.progress import Progress

from services.cli.console import Failed, err
from services.cli.coordinates import environment_settings
from services.core.endpoint import Endpoint
from services.core.holds import Holds
from services.ledger import open_ledger
from services.llm.client import ChatClient
from services.llm.dispatcher import Dispatcher
from services.llm.pace import Pace
from services.local.processes.process import sigterm_cancels
from services.runtime.process.running import own_name

LOOK_S = 1.0
"""Seconds between two looks at whether the model takes calls."""


def endpoint(alias: str, llm_url: str | None) -> Endpoint:
    """Where the model is served. Raises Failed."""
    if llm_url is not None:
        return Endpoint(llm_url)
    models = environment_settings().models
    if alias not in models:
        raise Failed(f"nothing says where {alias} is served: set REASONMED_MODELS, or give --llm-url")
    return models[alias]


@asynccontextmanager
async def dispatching(command: str, alias: str, endpoint: Endpoint, ledger_url: str) -> AsyncIterator[Dispatcher]:
    """The model, behind the call ledger. Calls in flight complete after Ctrl-C, within the drain time."""
    settings, endpoints = environment_settings(), {alias: endpoint}
    owner = str(own_name(command, settings.name))
    pace = Pace(lease_s=settings.lease_s, drain_s=settings.drain_s)
    async with (
        sigterm_cancels(),
        open_ledger(ledger_url) as opened,
        ChatClient(endpoints) as chat,
        Dispatcher(chat, opened.calls, endpoints=endpoints, owner=owner, holds=Holds(), pace=pace) as models,
    ):
        try:
            yield models
        except asyncio.CancelledError:
            err.print(f"calls under way have {settings.drain_s:.0f} s to end; Ctrl-C again gives them up")
            raise


@contextmanager
def progress(
    what: str, total: int, models: Dispatcher, *, quiet: bool, if_unknown: str = ""
) -> Iterator[Callable[[], None]]:
    """A bar on a terminal; beside it, or alone, why the model takes no calls. `if_unknown`: the remedy where the server
    does not know the model."""
    with Progress(console=err, transient=True, disable=quiet or not err.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        watching = asyncio.get_running_loop().create_task(_watch(models, if_unknown))
        try:
            yield lambda: bar.advance(task)
        finally:
            watching.cancel()


async def _watch(models: Dispatcher, if_unknown: str) -> None:
    printed = ""
    while True:
        await asyncio.sleep(LOOK_S)
        status = models.status()
        reasons = [f"{alias} takes no calls: {down.why}" for alias, down in status.items()]
        if if_unknown and any(down.reason == "model" for down in status.values()):
            reasons.append(if_unknown)
        why = "; ".join(reasons)
        if why and why != printed:
            err.print(f"waiting: {why}", highlight=False, markup=False)
        printed = why
