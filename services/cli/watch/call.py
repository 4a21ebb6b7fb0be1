"""`reasonmed call`: one model call, whole."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from services.cli.console import UP, Bootstrap, Folder, Json, emit, out
from services.cli.coordinates import client, ledger
from services.cli.watch import calls


def call(
    call_id: Annotated[str, typer.Argument(metavar="CALL", help="A call id, as in a record's `calls` or a log.")],
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """Show one model call: its case, the prompt as it was sent, reply, thinking, seed, tokens, cost.

    The ledger names the case; the prompt is rendered again from the case's messages in Kafka and its recipe.

    Example:  reasonmed call call-0123456789abcdef0123456789abcdef
    """
    found = asyncio.run(calls.one(call_id, ledger(folder), client(bootstrap, folder)))
    emit(found) if json else _show(found)


def _show(found: Mapping[str, Any]) -> None:
    for name, value in found.items():
        if name not in ("system", "prompt", "reply", "thinking") and value not in (None, ""):
            out.print(f"{name.replace('_', ' ')}: {value}", highlight=False, markup=False, soft_wrap=True)
    for name in ("system", "prompt", "thinking", "reply"):
        if found[name]:
            out.print(f"[bold]{name}[/]")
            out.print(found[name], highlight=False, markup=False, soft_wrap=True)
