"""`reasonmed account`: what became of every question of a running stack."""

import asyncio

from services.cli.console import UP, Failed, Folder, emit
from services.cli.coordinates import client, load
from services.local.audit.evidence import account_of


def account(folder: Folder = UP) -> None:
    """Count a running stack's questions, ends, calls and records, from topics, ledger and dataset; print JSON.

    While questions are under way, or the newest records aren't exported yet (a part is closed after a minute), they
    count as missing and unexported.

    Example:  reasonmed account | jq .routes
    """
    if (running := load(folder)) is None:
        raise Failed(f"no stack runs in {folder}: start one with `reasonmed up`, or name its --folder")
    emit(
        asyncio.run(
            account_of(
                client(running.bootstrap, folder), ledger=running.ledger, log=running.calls_log, dataset=running.dataset
            )
        )
    )
