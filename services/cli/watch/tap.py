"""`reasonmed tap`: a topic as JSON lines."""

import asyncio
import sys
from collections.abc import Collection
from contextlib import aclosing
from typing import Annotated

import typer

from services.cli.console import UP, Bootstrap, Failed, Folder
from services.cli.coordinates import client
from services.cli.piped import piped
from services.cli.since import moment
from services.contracts.topics import topics
from services.runtime.kafka.admin import held
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.reader import follow_topic, read_topic
from services.taps.lines import Wanted, rendered
from services.taps.lines import tap as lines_of


def tap(  # noqa: PLR0913 -- Typer makes an option of each argument
    topic: Annotated[str, typer.Argument(help="paths-verified, record-completed …: see `reasonmed topics describe`.")],
    since: Annotated[
        str | None, typer.Option(help="Start there: 15m (s, h, d), 2026-05-17, 2026-05-17T09:30+02:00 (else UTC).")
    ] = None,
    case: Annotated[str | None, typer.Option(help="Only messages of this case id (their key).")] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="FIELD=VALUE: a dotted path, any item of a list; repeatable.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Then print new messages as they arrive, until Ctrl-C.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after this many lines.")] = None,
    repeats: Annotated[bool, typer.Option("--repeats", help="Also print repeats with the same bytes.")] = False,
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
) -> None:
    """Print a topic's messages as JSON lines: topic, partition, offset, timestamp, key, value.

    In order within a partition. It joins no consumer group. A message that breaks its topic's contract has the reason
    in `unreadable`; a dead letter has its reason in `dead_letter`. proto/asyncapi.yaml and proto/schemas describe the
    fields.

    Example:  reasonmed tap paths-verified --since 15m --where question.subject=Cardiology | jq .value.difficulty
    """
    if topic not in topics():
        raise typer.BadParameter(f"one of {', '.join(topics())}", param_hint="TOPIC")
    wanted = Wanted(since=moment(since), case=case, where=tuple(_condition(each) for each in where or ()))
    with piped():
        asyncio.run(_tap(client(bootstrap, folder), topic, wanted, follow=follow, limit=limit, repeats=repeats))


async def exist(kafka: KafkaClient, names: Collection[str]) -> None:
    """Raises Failed where the cluster has none of these topics: they are missing, not empty. Raises BrokerAway."""
    if not await held(kafka, names):
        raise Failed(f"Kafka at {kafka.bootstrap} has no topic {', '.join(names)}: run `reasonmed topics declare`")


async def _tap(
    kafka: KafkaClient, topic: str, wanted: Wanted, *, follow: bool, limit: int | None, repeats: bool
) -> None:
    await exist(kafka, [topic])
    since_ms = None if wanted.since is None else max(0, int(wanted.since.timestamp() * 1000))
    read = follow_topic if follow else read_topic
    async with (
        aclosing(read(kafka, topic, since_ms=since_ms)) as messages,
        aclosing(lines_of(messages, wanted, repeats=repeats, limit=limit)) as lines,
    ):
        async for line in lines:
            sys.stdout.buffer.write(rendered(line))
            if follow:
                sys.stdout.buffer.flush()


def _condition(given: str) -> tuple[str, str]:
    field, equals, value = given.partition("=")
    if not field or not equals:
        raise typer.BadParameter("FIELD=VALUE, as in difficulty=medium", param_hint="--where")
    return field, value
