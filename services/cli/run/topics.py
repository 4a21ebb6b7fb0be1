"""`reasonmed topics`: declare the topics of proto/topics.yaml, and show them."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

import typer

from services.cli.console import UP, Bootstrap, Column, Folder, Json, Wide, emit, err, many, out, print_table
from services.cli.coordinates import client
from services.contracts.topics import topics
from services.runtime.kafka import declare as kafka_topics
from services.runtime.kafka.admin import brokers
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.declare import specs

app = typer.Typer(no_args_is_help=True, help="Declare the topics, and compare them with what the cluster has.")


@app.command("declare")
def declare(
    replication: Annotated[
        int | None, typer.Option(min=1, help="Replicas; else 3, or 1 where the cluster has fewer than 3 brokers.")
    ] = None,
    partitions: Annotated[
        int | None,
        typer.Option(min=1, help="Partitions of the topics that carry questions: the most workers of a service."),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit 1 on differences, and where brokers forget offsets before messages."),
    ] = False,
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """Create the missing topics. Existing topics are not altered; differences are reported. Choose --partitions at the
    first install: more partitions later would move questions between them.

    Example:  reasonmed topics declare --bootstrap kafka-1:9092 --replication 3
    """
    result = asyncio.run(_declare(client(bootstrap, folder), replication, partitions, strict=strict))
    if json:
        emit(result)
    else:
        _report(result)
    if strict and result["differences"]:
        raise typer.Exit(1)


def _report(result: dict[str, Any]) -> None:
    created, existed = len(result["created"]), len(result["existed"])
    out.print(f"{many(created, 'topic')} created, {existed} already existed.", highlight=False)
    for one in result["differences"]:
        err.print(
            f"{one['topic']}: {one['what']} is {one['found'] or 'unset'}, declared {one['declared']}", highlight=False
        )


@app.command("describe")
def describe(bootstrap: Bootstrap = None, folder: Folder = UP, json: Json = False, wide: Wide = False) -> None:
    """Show each topic: its messages, writers and readers, declared and on the cluster.

    Example:  reasonmed topics describe --json
    """
    described = asyncio.run(_describe(client(bootstrap, folder)))
    emit(described) if json else _show(described, wide=wide)


async def _declare(
    kafka: KafkaClient, replication: int | None, partitions: int | None, *, strict: bool
) -> dict[str, Any]:
    replicas = replication or (3 if await brokers(kafka) >= 3 else 1)
    wanted = specs(
        topics().values(), replication=replicas, max_message_bytes=kafka.max_message_bytes, partitions=partitions
    )
    before = await kafka_topics.describe(kafka, list(topics()))
    differences = await kafka_topics.declare(kafka, wanted)
    if strict:
        differences += await kafka_topics.offsets_expire(kafka, wanted)
    return {
        "created": [spec.name for spec in wanted if spec.name not in before],
        "existed": list(before),
        "differences": [asdict(difference) for difference in differences],
    }


async def _describe(kafka: KafkaClient) -> list[dict[str, Any]]:
    await brokers(kafka)  # names the address where no broker answers
    found = await kafka_topics.describe(kafka, list(topics()))
    return [
        {
            **topic.model_dump(exclude_none=True),
            "on_cluster": {"partitions": spec.partitions, "replication": spec.replication}
            if (spec := found.get(topic.name))
            else None,
        }
        for topic in topics().values()
    ]


COLUMNS = (
    *(Column("topic"), Column("message", drop=3), Column("written by", drop=2), Column("read by", drop=1)),
    *(Column("partitions", right=True), Column("on the cluster")),
)


def _show(described: list[dict[str, Any]], *, wide: bool) -> None:
    print_table(COLUMNS, [_row(topic) for topic in described], wide=wide)


def _row(topic: dict[str, Any]) -> list[str]:
    found = topic["on_cluster"]
    return [
        topic["name"],
        topic["message"],
        ", ".join(topic["written_by"]),
        ", ".join(topic["read_by"]),
        str(topic["partitions"]),
        f"{found['partitions']} partitions × {found['replication']}" if found else "missing",
    ]
