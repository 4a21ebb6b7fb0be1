"""`reasonmed ledger`: prune the call ledger."""

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from services.cli.console import UP, Bootstrap, Failed, Folder, Json, emit, err, many, out
from services.cli.coordinates import client, ledger
from services.contracts.topics import topics
from services.core.errors import BrokerAway
from services.ledger import open_ledger, open_status_store
from services.runtime.kafka import declare as kafka_topics
from services.runtime.kafka.admin import brokers
from services.runtime.kafka.client import KafkaClient

app = typer.Typer(no_args_is_help=True, help="The call ledger: each paid call, each question admitted.")

_DAY_MS = 24 * 3600 * 1000
_FOR_EVER = -1
"""As Kafka writes it in retention.ms."""


@app.command("prune")
def prune(
    older_than: Annotated[str, typer.Option(help="In days, as in 45d; at least the retention of the topics of cases.")],
    admissions: Annotated[
        str | None, typer.Option(help="Also forget questions admitted that long ago, as in 730d; none: never.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it, only print the date.")] = False,
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """Delete what ended that long ago: calls, leases, attempts, cases. A dry run without --yes.

    A deleted call is paid for again if it is made again, so the age must cover the retention of Kafka's topics; without
    Kafka nothing is deleted. Admitted questions stay known, in some 200 bytes each, so a file that is submitted again
    costs nothing; --admissions forgets old ones too. Services may keep running; Ctrl-C leaves the rest for another run.

    Example:  reasonmed ledger prune --older-than 45d --yes
    """
    age, forget = _age(older_than), None if admissions is None else _age(admissions, "--admissions")
    if forget is not None and forget < age:
        raise typer.BadParameter("at least as old as --older-than", param_hint="--admissions")
    url = ledger(folder)
    _refuse_kept(age, asyncio.run(_kept_ms(client(bootstrap, folder))))
    before = (datetime.now(UTC) - age).isoformat(timespec="seconds")
    calls = None
    if yes:
        with err.status("pruning"):
            calls = asyncio.run(_prune(url, age, forget))
    if json:
        emit({"dry_run": not yes, "before": before, "calls": calls})
    elif yes:
        out.print(f"Deleted {many(calls or 0, 'call')}, and what else had ended before {before}.", highlight=False)
    else:
        out.print(f"Would delete what ended before {before}: add --yes to do it.", highlight=False)


def _age(text: str, option: str = "--older-than") -> timedelta:
    if not re.fullmatch(r"\d{1,5}d", text):
        raise typer.BadParameter("days, as in 45d", param_hint=option)
    return timedelta(days=int(text.removesuffix("d")))


def _refuse_kept(age: timedelta, kept_ms: Mapping[str, int]) -> None:
    topic, longest = max(kept_ms.items(), key=lambda kept: float("inf") if kept[1] == _FOR_EVER else kept[1])
    if longest != _FOR_EVER and age >= timedelta(milliseconds=longest):
        return
    kept = "for ever" if longest == _FOR_EVER else f"for {longest / _DAY_MS:g} days"
    raise typer.BadParameter(
        f"{topic} keeps cases {kept} (retention.ms={longest}), and a case that is read again must find its calls",
        param_hint="--older-than",
    )


async def _kept_ms(kafka: KafkaClient) -> dict[str, int]:
    """The retention.ms of each topic from which cases may be read again. Raises Failed."""
    queues = [
        topic.name
        for topic in topics().values()
        if topic.message in ("submission", "case") and set(topic.read_by) != {"taps"}
    ]
    try:
        await brokers(kafka)  # names the address where no broker answers
        found = await kafka_topics.describe(kafka, queues)
    except BrokerAway as error:
        raise Failed(
            f"{error}. The retention of its topics is the least age to prune: start it, or name it with --bootstrap"
        ) from error
    if missing := set(queues) - set(found):
        raise Failed(
            f"Kafka at {kafka.bootstrap} has no {', '.join(sorted(missing))}: is it this ledger's? "
            "Name that with --bootstrap, or run `reasonmed topics declare`"
        )
    return {name: int(spec.config["retention.ms"]) for name, spec in found.items()}


async def _prune(url: str, age: timedelta, forget: timedelta | None) -> int:
    async with open_ledger(url) as ledger, open_status_store(url) as store:
        await store.prune(age.total_seconds())
        admissions_s = None if forget is None else forget.total_seconds()
        return await ledger.books.prune(age.total_seconds(), admissions_s=admissions_s)
