"""`reasonmed topics`: declare the topics of proto/topics.yaml, and show them."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from services.cli.console import UP, Bootstrap, Folder, Json, emit, err, out
from services.cli.coordinates import client
from services.contracts.topics import topics
from services.runtime.kafka import admin
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.cluster import brokers
from services.runtime.kafka.declared import specs

app = typer.Typer(no_args_is_help=True, help="Declare the topics, and compare them with what the cluster has.")


@app.command("declare")
def declare(
    replication: Annotated[
        int | None, typer.Option(min=1, help="Replicas; else 3, or 1 where the cluster has fewer than 3 brokers.")
    ] = None,
    partitions: Annotated[int | None, typer.Option(min=1, help="The most partitions that any topic gets.")] = None,
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """Create the topics that are missing. Those that exist are left as they are; where they differ is told.

    Example:  reasonmed topics declare --bootstrap kafka-1:9092 --replication 3
    """
    said = asyncio.run(_declare(client(bootstrap, folder), replication, partitions))
    if json:
        emit(said)
        return
    out.print(f"{len(said['created'])} topics created, {len(said['existed'])} existed already.", highlight=False)
    for one in said["differences"]:
        err.print(
            f"{one['topic']}: {one['what']} is {one['found'] or 'unset'}, declared {one['declared']}", highlight=False
        )


@app.command("describe")
def describe(bootstrap: Bootstrap = None, folder: Folder = UP, json: Json = False) -> None:
    """Show each topic: what it holds, who writes and reads it, and how it stands on the cluster.

    Example:  reasonmed topics describe --json
    """
    described = asyncio.run(_describe(client(bootstrap, folder)))
    emit(described) if json else _show(described)


async def _declare(kafka: KafkaClient, replication: int | None, partitions: int | None) -> dict[str, Any]:
    replicas = replication or (3 if await brokers(kafka) >= 3 else 1)
    wanted = specs(
        topics().values(), replication=replicas, max_message_bytes=kafka.max_message_bytes, partitions=partitions
    )
    before = await admin.describe(kafka, list(topics()))
    differences = await admin.declare(kafka, wanted)
    return {
        "created": [spec.name for spec in wanted if spec.name not in before],
        "existed": list(before),
        "differences": [asdict(difference) for difference in differences],
    }


async def _describe(kafka: KafkaClient) -> list[dict[str, Any]]:
    await brokers(kafka)  # says clearly where there is none
    found = await admin.describe(kafka, list(topics()))
    return [
        {
            **topic.model_dump(exclude_none=True),
            "on_cluster": {"partitions": spec.partitions, "replication": spec.replication}
            if (spec := found.get(topic.name))
            else None,
        }
        for topic in topics().values()
    ]


def _show(described: list[dict[str, Any]]) -> None:
    table = Table("topic", "holds", "written by", "read by", "declared", "on the cluster")
    for topic in described:
        there = topic["on_cluster"]
        table.add_row(
            topic["name"],
            topic["message"],
            ", ".join(topic["written_by"]),
            ", ".join(topic["read_by"]),
            f"{topic['partitions']} partitions",
            f"{there['partitions']} partitions × {there['replication']}" if there else "[red]missing[/red]",
        )
    out.print(table)
