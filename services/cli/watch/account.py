"""`reasonmed account`: an audit of a running stack's questions."""

import asyncio

from services.cli.console import UP, Failed, Folder, emit
from services.cli.coordinates import client, load
from services.local.audit.evidence import audit_run


def account(folder: Folder = UP) -> None:
    """Audit a running stack: count questions, ends, calls and records in topics, ledger and dataset; print JSON.

    Open questions count as missing. Records of the last minute may count as unexported: the exporter closes a part a
    minute after its first record.

    Example:  reasonmed account | jq .routes
    """
    if (running := load(folder)) is None:
        raise Failed(f"no stack runs in {folder}: start one with `reasonmed up`, or name its --folder")
    kafka = client(running.bootstrap, folder)
    report = audit_run(kafka, ledger=running.ledger, log=running.calls_log, dataset=running.dataset)
    emit(asyncio.run(report))
