"""`reasonmed circuit`: what a burst of dead letters has stopped, and to let it go on."""

import asyncio
from typing import Annotated

import typer

from services.cli.console import UP, Folder, Json, emit, out
from services.cli.coordinates import ledger
from services.contracts.topics import topics
from services.ledger import open_ledger

app = typer.Typer(no_args_is_help=True, help="Circuits: a burst of dead letters opens one, and stops its service.")


@app.command("list")
def list_(folder: Folder = UP, json: Json = False) -> None:
    """List every service's circuit; of those that are open, why.

    An open one lets a message through every 30 s, and closes by itself once such a message is no dead letter.

    Example:  reasonmed circuit list
    """
    whys = asyncio.run(_whys(ledger(folder)))
    if json:
        emit([{"service": service, "open": why is not None, "why": why} for service, why in whys.items()])
        return
    for service, why in whys.items():
        out.print(f"{service}: {'closed' if why is None else f'open: {why}'}", highlight=False, markup=False)


@app.command("close")
def close(service: Annotated[str, typer.Argument(help="As in `reasonmed circuit list`.")], folder: Folder = UP) -> None:
    """Close a service's circuit: its workers go on within seconds. First mend what opened it, or it opens again.

    Example:  reasonmed circuit close verifier
    """
    if service not in services():
        raise typer.BadParameter(f"one of {', '.join(services())}", param_hint="SERVICE")
    why = asyncio.run(_close(ledger(folder), service))
    out.print(f"{service}: {'was closed already' if why is None else f'closed; it was open: {why}'}", markup=False)


def services() -> list[str]:
    """Every service (or group, where a service has several) that has a circuit: all that read cases or submissions."""
    readers = [
        topic.group or reader
        for topic in topics().values()
        if topic.message in ("submission", "case")
        for reader in topic.read_by
        if reader != "taps"
    ]
    return list(dict.fromkeys(readers))


async def _whys(url: str) -> dict[str, str | None]:
    async with open_ledger(url) as ledger:
        return {service: await ledger.attempts.circuit(service) for service in services()}


async def _close(url: str, service: str) -> str | None:
    """Why it was open."""
    async with open_ledger(url) as ledger:
        why = await ledger.attempts.circuit(service)
        if why is not None:
            await ledger.attempts.set_circuit(service, None)
        return why
