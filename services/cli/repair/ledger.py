"""`reasonmed ledger`: keep the call ledger small."""

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from services.cli.console import UP, Bootstrap, Failed, Folder, Json, emit, err, out
from services.cli.coordinates import client, ledger
from services.contracts.topics import topics
from services.core.errors import BrokerAway
from services.ledger import open_ledger, open_status_store
from services.runtime.kafka import admin
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.cluster import brokers

app = typer.Typer(no_args_is_help=True, help="The call ledger: each paid call, each question admitted.")

_DAY_MS = 24 * 3600 * 1000
_FOR_EVER = -1
"""As Kafka writes it in retention.ms."""


@app.command("prune")
def prune(
    older_than: Annotated[str, typer.Option(help="In days: 45d. Never less than Kafka's topics keep cases.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without, only say from when back.")] = False,
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """Drop what ended so long ago: calls, leases, admissions, attempts, cases. A dry run, unless --yes is given.

    A call that is dropped is paid for again if it is asked again, and a question that is submitted again is worked on
    again. So Kafka is asked how long its topics keep cases: without its answer nothing is dropped. Services may go on
    meanwhile; Ctrl-C leaves the rest for the next time.

    Example:  reasonmed ledger prune --older-than 45d --yes
    """
    age = _age(older_than)
    url = ledger(folder)
    _refuse_kept(age, asyncio.run(_kept_ms(client(bootstrap, folder))))
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


def _age(older_than: str) -> timedelta:
    if not re.fullmatch(r"\d{1,5}d", older_than):
        raise typer.BadParameter("days, as in 45d", param_hint="--older-than")
    return timedelta(days=int(older_than.removesuffix("d")))


def _refuse_kept(age: timedelta, kept_ms: Mapping[str, int]) -> None:
    topic, longest = max(kept_ms.items(), key=lambda kept: float("inf") if kept[1] == _FOR_EVER else kept[1])
    if longest != _FOR_EVER and age >= timedelta(milliseconds=longest):
        return
    kept = "for ever" if longest == _FOR_EVER else f"for {longest / _DAY_MS:g} days"
    raise typer.BadParameter(
        f"{topic} keeps cases {kept} (retention.ms={longest}), and one that is read again must find its calls",
        param_hint="--older-than",
    )


async def _kept_ms(kafka: KafkaClient) -> dict[str, int]:
    """How long the cluster keeps each topic from which work may be read again: retention.ms. Raises Failed."""
    queues = [
        topic.name
        for topic in topics().values()
        if topic.message in ("submission", "case") and set(topic.read_by) != {"taps"}
    ]
    try:
        await brokers(kafka)  # says clearly where there is none
        found = await admin.describe(kafka, queues)
    except BrokerAway as error:
        raise Failed(
            f"{error}. How long its topics keep cases is the least age to prune: start it, or name it with --bootstrap"
        ) from error
    if missing := set(queues) - set(found):
        raise Failed(
            f"Kafka at {kafka.bootstrap} has no {', '.join(sorted(missing))}: is it this ledger's? "
            "Name that with --bootstrap, or run `reasonmed topics declare`"
        )
    return {name: int(spec.config["retention.ms"]) for name, spec in found.items()}


async def _prune(url: str, age: timedelta) -> int:
    async with open_ledger(url) as ledger, open_status_store(url) as standings:
        await standings.prune(age.total_seconds())
        return await ledger.books.prune(age.total_seconds())
