"""`reasonmed status --count`: the topics' messages, cases and lag, counted without a monitor."""

from contextlib import aclosing
from typing import Any, get_args

import typer

from services.cli.console import Column, err, out, print_table
from services.contracts.topics import QUESTION_SUBMITTED, lane_of, topics
from services.local.progress import FOLLOWED, End, Progress
from services.runtime.kafka.admin import committed, held, lag
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.reader import read_topic

COLUMNS = (
    *(Column("topic"), Column("cases", right=True), Column("messages", right=True)),
    Column("lag by group", drop=1),
)


async def look(kafka: KafkaClient, limit: int) -> dict[str, Any]:
    """The counts as data. `cases`, `ends` and `open` are null where the topics hold more than `limit` messages. Raises
    BrokerAway."""
    offsets = await held(kafka, list(topics()))
    readers = {topic.name: [topic.group or reader for reader in topic.read_by] for topic in topics().values()}
    groups = sorted({group for name in FOLLOWED for group in readers[name]} - {"taps", "command-line"})
    done = await committed(kafka, groups)
    messages = {name: sum(len(each) for key, each in offsets.items() if key.topic == name) for name in FOLLOWED}
    progress = await _counted(kafka) if sum(messages.values()) <= limit else None
    cases = progress.counts() if progress else {}
    return {
        "bootstrap": kafka.bootstrap,
        "topics": {
            name: {
                "messages": messages[name],
                "cases": cases.get(name, 0) if progress else None,
                "lag": {group: lag(offsets, done[group], name) for group in readers[name] if group in groups},
            }
            for name in FOLLOWED
            if any(key.topic == name for key in offsets)
        },
        "ends": {kind: progress.by_end()[kind] for kind in get_args(End)} if progress else None,
        "open": len(progress.open(progress.cases[QUESTION_SUBMITTED])) if progress else None,
        "records": len(progress.records) if progress else None,
        "dead_letters": sum(count for name, count in messages.items() if name.endswith("-dead")),
    }


def show(counts: dict[str, Any], *, wide: bool) -> None:
    """Print what `look` returned. Exits with 1 where the cluster has none of the topics."""
    if not counts["topics"]:
        err.print(f"Kafka at {counts['bootstrap']} has none of our topics: run `reasonmed topics declare`.")
        raise typer.Exit(1)
    rows = [
        (name, _cell(topic["cases"]), str(topic["messages"]), _lags(topic["lag"]))
        for name, topic in counts["topics"].items()
        if topic["messages"] or not (name.endswith("-dead") or lane_of(name) == "backfill")
    ]
    out.print(f"Kafka at {counts['bootstrap']}", highlight=False)
    print_table(COLUMNS, rows, wide=wide)
    if counts["ends"] is not None:
        ends = ", ".join(f"{count} {kind}" for kind, count in counts["ends"].items())
        out.print(f"ended: {ends}; open: {counts['open']}; records: {counts['records']}", highlight=False)
    if counts["dead_letters"]:
        out.print(f"dead letters: {counts['dead_letters']}", style="red", highlight=False)


async def _counted(kafka: KafkaClient) -> Progress:
    progress = Progress()
    async with aclosing(read_topic(kafka, *FOLLOWED)) as messages:
        async for message in messages:
            progress.take(message)
    return progress


def _cell(count: int | None) -> str:
    return "–" if count is None else str(count)


def _lags(lags: dict[str, int]) -> str:
    return ", ".join(f"{group} {count}" for group, count in lags.items())
