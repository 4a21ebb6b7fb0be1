"""`reasonmed status --count`: what stands where, counted from the topics and the groups' offsets; no monitor needed."""

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, get_args

import typer

from services.cli.console import err, out

if TYPE_CHECKING:
    from services.runtime.kafka.client import KafkaClient

LIMIT = 100_000
"""Messages read, at most: some seconds."""


async def look(kafka: "KafkaClient", limit: int) -> dict[str, Any]:
    """The whole status as data; `cases`, `ends` and `open` are null beyond the limit. Raises BrokerAway."""
    from services.contracts.topics import QUESTION_SUBMITTED, topics
    from services.local.progress import FOLLOWED, End
    from services.runtime.kafka.admin import committed, held, lag

    holds = await held(kafka, list(topics()))
    readers = {topic.name: [topic.group or reader for reader in topic.read_by] for topic in topics().values()}
    groups = sorted({group for name in FOLLOWED for group in readers[name]} - {"taps", "command-line"})
    done = await committed(kafka, groups)
    messages = {name: sum(len(held_) for key, held_ in holds.items() if key.topic == name) for name in FOLLOWED}
    progress = await _counted(kafka) if sum(messages.values()) <= limit else None
    cases = progress.counts() if progress else {}
    return {
        "bootstrap": kafka.bootstrap,
        "topics": {
            name: {
                "messages": messages[name],
                "cases": cases.get(name, 0) if progress else None,
                "lag": {group: lag(holds, done[group], name) for group in readers[name] if group in groups},
            }
            for name in FOLLOWED
            if any(key.topic == name for key in holds)
        },
        "ends": {kind: progress.by_end()[kind] for kind in get_args(End)} if progress else None,
        "open": len(progress.open(progress.cases[QUESTION_SUBMITTED])) if progress else None,
        "records": len(progress.records) if progress else None,
        "dead_letters": sum(count for name, count in messages.items() if name.endswith("-dead")),
    }


async def _counted(kafka: "KafkaClient") -> Any:
    from services.local.progress import FOLLOWED, Progress
    from services.runtime.kafka.reader import read_topic

    progress = Progress()
    async with aclosing(read_topic(kafka, *FOLLOWED)) as messages:
        async for message in messages:
            progress.take(message)
    return progress


def show(seen: dict[str, Any]) -> None:
    from rich.table import Table

    if not seen["topics"]:
        err.print(f"Kafka at {seen['bootstrap']} has none of our topics: run `reasonmed topics declare`.")
        raise typer.Exit(1)
    table = Table("topic", title=f"Kafka at {seen['bootstrap']}", title_justify="left")
    for name in ("cases", "messages"):
        table.add_column(name, justify="right")
    table.add_column("lag by group")
    for name, topic in seen["topics"].items():
        if topic["messages"] or not name.endswith("-dead"):
            lags = ", ".join(f"{group} {count}" for group, count in topic["lag"].items())
            table.add_row(name, str("–" if topic["cases"] is None else topic["cases"]), str(topic["messages"]), lags)
    out.print(table)
    if seen["ends"] is not None:
        ends = ", ".join(f"{count} {kind}" for kind, count in seen["ends"].items())
        out.print(f"ended: {ends}; open: {seen['open']}; records: {seen['records']}", highlight=False)
    if seen["dead_letters"]:
        out.print(f"dead letters: {seen['dead_letters']}", style="red", highlight=False)
