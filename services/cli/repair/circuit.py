"""`reasonmed circuit`: the circuit breakers that bursts of dead letters open."""

import asyncio
from typing import Annotated

import typer

from services.cli.console import UP, Folder, Json, emit, out
from services.cli.coordinates import ledger
from services.contracts.topics import topics
from services.ledger import open_ledger

app = typer.Typer(
    no_args_is_help=True, help="Circuit breakers: a burst of dead letters opens one, which stops its service."
)


@app.command("list")
def list_(folder: Folder = UP, json: Json = False) -> None:
    """List every service's circuit, with the reason where it is open.

    An open circuit lets a message through every 30 s, and closes once such a message is no dead letter.

    Example:  reasonmed circuit list
    """
    reasons = asyncio.run(_reasons(ledger(folder)))
    if json:
        emit([{"service": service, "open": why is not None, "why": why} for service, why in reasons.items()])
        return
    for service, why in reasons.items():
        out.print(f"{service}: {'closed' if why is None else f'open: {why}'}", highlight=False, markup=False)


@app.command("close")
def close(service: Annotated[str, typer.Argument(help="As in `reasonmed circuit list`.")], folder: Folder = UP) -> None:
    """Close a service's circuit: its workers continue within seconds. Repair the cause first, or it opens again.

    Example:  reasonmed circuit close verifier
    """
    if service not in services():
        raise typer.BadParameter(f"one of {', '.join(services())}", param_hint="SERVICE")
    why = asyncio.run(_close(ledger(folder), service))
    out.print(f"{service}: {'was already closed' if why is None else f'closed; it was open: {why}'}", markup=False)


def services() -> list[str]:
    """Every consumer group with a circuit: all that read cases or submissions."""
    readers = [
        topic.group or reader
        for topic in topics().values()
        if topic.message in ("submission", "case")
        for reader in topic.read_by
        if reader != "taps"
    ]
    return list(dict.fromkeys(readers))


async def _reasons(url: str) -> dict[str, str | None]:
    async with open_ledger(url) as ledger:
        return {service: await ledger.circuits.why(service) for service in services()}


async def _close(url: str, service: str) -> str | None:
    """Why it was open; None where it was closed."""
    async with open_ledger(url) as ledger:
        why = await ledger.circuits.why(service)
        if why is not None:
            await ledger.circuits.set(service, None)
        return why
