"""`reasonmed show`: one case, its steps from topic to topic, and what the topics still hold of it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from services.cli.console import UP, Bootstrap, Column, Failed, Folder, Json, Wide, emit, out, print_table
from services.cli.coordinates import client, ledger
from services.cli.watch import calls
from services.contracts.base import CaseId, WorkId
from services.contracts.codec import Malformed, loads
from services.core.messages import Position
from services.core.status.case_status import CaseEvent, CaseHistory
from services.ledger import open_status_store
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.reader import read_at

CHARACTERS = 300
"""Of a reason or summary on a screen; --json has all."""


def show(
    case_id: Annotated[
        str, typer.Argument(metavar="CASE", help="A case id: the key of messages, a column of records.")
    ],
    with_calls: Annotated[
        bool, typer.Option("--calls", help="Its model calls instead; with --json also prompts, replies and thinking.")
    ] = False,
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
    json: Json = False,
    wide: Wide = False,
) -> None:
    """Show one case: its status under each recipe, its steps, its paths with their verdicts, its end.

    The steps come from the monitor's store. The bodies are read from Kafka, as long as its topics keep them. With
    --calls: every model call that it rests on; `reasonmed call CALL` shows one whole.

    Example:  reasonmed show case-0123456789abcdef --json
    """
    if with_calls:
        works = asyncio.run(calls.of_case(case_id, ledger(folder), client(bootstrap, folder)))
        emit(calls.plain(works)) if json else calls.show(works, wide=wide)
        return
    data = asyncio.run(_read(case_id, ledger(folder), client(bootstrap, folder)))
    emit(data) if json else _show(data, wide=wide)


async def _read(case_id: str, url: str, kafka: KafkaClient) -> dict[str, Any]:
    """The case as data. Raises Failed, LedgerAway, BrokerAway."""
    async with open_status_store(url) as store:
        case = await store.case(CaseId(case_id))
    if case is None:
        kind = case_id.partition("-")[0]
        other = f"that is the id of a {kind}; " if kind in ("record", "work", "path", "call") else ""
        raise Failed(
            f"the monitor has no case {case_id}: {other}give a case id (case-…), whole; did a monitor run when it was "
            "submitted?"
        )
    steps = {status.work_id: case.timeline(status.work_id) for status in case.statuses()}
    positions = {event.position for events in steps.values() for event in events}
    bodies = {body.position: body.value or b"" for body in await read_at(kafka, sorted(positions, key=repr))}
    return _data(case, steps, bodies)


def _data(
    case: CaseHistory, steps: Mapping[WorkId, Sequence[CaseEvent]], bodies: Mapping[Position, bytes]
) -> dict[str, Any]:
    return {
        "case_id": case.case_id,
        "works": [
            {**asdict(status), "way": [_step(event, before, bodies) for before, event in _pairs(steps[status.work_id])]}
            for status in case.statuses()
        ],
    }


def _pairs(events: Sequence[CaseEvent]) -> list[tuple[CaseEvent | None, CaseEvent]]:
    """Each event with the one before it."""
    return list(zip([None, *events[:-1]], events, strict=True))


def _step(event: CaseEvent, before: CaseEvent | None, bodies: Mapping[Position, bytes]) -> dict[str, Any]:
    value = bodies.get(event.position)
    try:
        body = None if value is None else loads(value)
    except Malformed:
        body = None
    since = None if before is None else (event.written_ms - before.written_ms) / 1000
    fields = {name: value for name, value in asdict(event).items() if name not in ("case_id", "title", "source")}
    return {**fields, "topic": event.topic, "since_last_s": since, "body": body}


def _show(data: Mapping[str, Any], *, wide: bool) -> None:
    for work in data["works"]:
        ids = f"[bold]{data['case_id']}[/]  {work['work_id']}  {work['recipe_id']}"
        out.print(ids, highlight=False, soft_wrap=True)
        out.print(work["title"], markup=False, highlight=False)
        kinds = " · ".join(each for each in (work["source"], work["subject"], work["difficulty"]) if each)
        end = work["end"] or f"open, in {work['topic']}"
        out.print(" · ".join(each for each in (kinds, end, work["why"]) if each), markup=False, highlight=False)
        _show_steps(work["way"], wide=wide)
        _show_bodies(work["way"])


def _show_steps(steps: Sequence[Mapping[str, Any]], *, wide: bool) -> None:
    times = [datetime.fromtimestamp(step["written_ms"] / 1000, UTC) for step in steps]
    columns = (
        *(Column(f"{times[0]:%Y-%m-%d} UTC"), Column("after", right=True), Column("topic")),
        *(Column("life", right=True, drop=2), Column("round", right=True, drop=2), Column("paths", drop=1)),
    )
    rows = []
    for step, time in zip(steps, times, strict=True):
        at = f"{time:%H:%M:%S}" if time.date() == times[0].date() else f"{time:%m-%d %H:%M:%S}"
        after = "" if step["since_last_s"] is None else f"{step['since_last_s']:.1f} s"
        paths = ", ".join(f"{count} {name}" for name, count in step["paths"].items())
        rows.append((at, after, step["topic"], str(step["life"]), str(step["round"]), paths))
    print_table(columns, rows, wide=wide)


def _show_bodies(steps: Sequence[Mapping[str, Any]]) -> None:
    """The paths of the latest case that Kafka still holds, and the records."""
    bodies = [step["body"] for step in steps if step["body"] is not None]
    cases = [body for body in bodies if "paths" in body]
    for path in cases[-1]["paths"] if cases else ():
        out.print(_path(path), markup=False, highlight=False)
    for step in steps:
        if step["body"] is not None and "summary" in step["body"]:
            summary = step["body"]["summary"][:CHARACTERS]
            out.print(f"record {step['index'] + 1} of {step['of']}: {summary}", markup=False, highlight=False)


def _path(path: Mapping[str, Any]) -> str:
    verdict, score = path.get("verdict") or {}, path.get("score") or {}
    outcome = verdict.get("outcome", "unverified") if path.get("failure") is None else f"failed: {path['failure']}"
    points = "" if score.get("value") is None else f", {score['value']} of 5"
    reason = str(verdict.get("reason") or "")[:CHARACTERS]
    return f"{path['origin']} {path['round']}/{path['slot']} {path['alias']}: {outcome}{points}. {reason}"
