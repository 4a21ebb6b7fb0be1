"""`reasonmed ledger`: keep the call ledger small."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from services.cli.console import UP, Folder, Json, emit, err, out

app = typer.Typer(no_args_is_help=True, help="The call ledger: each paid call, each question admitted.")


@app.command("prune")
def prune(
    older_than: Annotated[str, typer.Option(help="In days: 45d. Never less than the topics keep cases.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without, only say what would be dropped.")] = False,
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """Drop what ended so long ago: calls, leases, admissions, attempts. A dry run, unless --yes is given.

    A call that is dropped is paid for again if it is asked again, and a question that is submitted again is worked on
    again. Services may go on meanwhile; Ctrl-C leaves the rest for the next time.

    Example:  reasonmed ledger prune --older-than 45d --yes
    """
    from services.cli.coordinates import ledger

    age = _age(older_than)
    url = ledger(folder)
    before = (datetime.now(UTC) - age).isoformat(timespec="seconds")
    calls = None
    if yes:
        with err.status("pruning"):
            calls = asyncio.run(_prune(url, age))
    if json:
        emit({"dry_run": not yes, "before": before, "calls": calls})
    elif yes:
        out.print(f"Dropped {calls} calls, and what else had ended before {before}.", highlight=False)
    else:
        out.print(f"Would drop what ended before {before}: add --yes to do it.", highlight=False)


def kept_days() -> int:
    """How long a message that may be worked on again is kept, by the topics' declaration: the least age to prune."""
    from services.contracts.topics import topics

    queues = [topic for topic in topics().values() if topic.message in ("submission", "case")]
    return max(topic.retention_days or 0 for topic in queues if set(topic.read_by) != {"taps"})


def _age(older_than: str) -> timedelta:
    if not re.fullmatch(r"\d{1,5}d", older_than):
        raise typer.BadParameter("days, as in 45d", param_hint="--older-than")
    days = int(older_than.removesuffix("d"))
    if days < kept_days():
        raise typer.BadParameter(
            f"topics keep cases for {kept_days()} days, and one that is read again must find its calls: no fewer days",
            param_hint="--older-than",
        )
    return timedelta(days=days)


async def _prune(url: str, age: timedelta) -> int:
    from services.ledger import open_ledger

    async with open_ledger(url) as ledger:
        return await ledger.prune(age.total_seconds())
