"""`reasonmed show`: one case, all its way, and what the topics still hold of it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.console import UP, Bootstrap, Failed, Folder, Json, emit, out

if TYPE_CHECKING:
    from services.contracts.base import WorkId
    from services.core.messages import Position
    from services.core.status.case_status import CaseEvent, CaseHistory
    from services.runtime.kafka.client import KafkaClient

CHARACTERS = 300
"""Of a reason or summary, on a screen; --json has all."""


def show(
    case_id: Annotated[str, typer.Argument(metavar="CASE", help="A case id, as messages' keys and records have it.")],
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """Show one case: where it stands under each recipe, its way step by step, its paths with their verdicts, its end.

    The way is the monitor's; the bodies are read from Kafka, as long as its topics keep them.

    Example:  reasonmed show case-0123456789abcdef --json
    """
    from services.cli.coordinates import client, ledger

    told = asyncio.run(_look(case_id, ledger(folder), client(bootstrap, folder)))
    emit(told) if json else _show(told)


async def _look(case_id: str, url: str, kafka: "KafkaClient") -> dict[str, Any]:
    """The case as data. Raises Failed, LedgerAway, BrokerAway."""
    from services.contracts.base import CaseId
    from services.ledger import open_status_store
    from services.runtime.kafka.reader import read_at

    async with open_status_store(url) as standings:
        case = await standings.case(CaseId(case_id))
    if case is None:
        raise Failed(
            f"the monitor knows no case {case_id}: is it the whole id, and has a monitor run since it came in?"
        )
    ways = {standing.work_id: case.timeline(standing.work_id) for standing in case.statuses()}
    wanted = {sighting.position for way in ways.values() for sighting in way}
    bodies = {body.position: body.value or b"" for body in await read_at(kafka, sorted(wanted, key=repr))}
    return _told(case, ways, bodies)


def _told(
    case: "CaseHistory", ways: "Mapping[WorkId, Sequence[CaseEvent]]", bodies: "Mapping[Position, bytes]"
) -> dict[str, Any]:
    return {
        "case_id": case.case_id,
        "works": [
            {
                **asdict(standing),
                "way": [_step(sighting, before, bodies) for before, sighting in _pairs(ways[standing.work_id])],
            }
            for standing in case.statuses()
        ],
    }


def _pairs(way: "Sequence[CaseEvent]") -> "list[tuple[CaseEvent | None, CaseEvent]]":
    return list(zip([None, *way[:-1]], way, strict=True))


def _step(sighting: "CaseEvent", before: "CaseEvent | None", bodies: "Mapping[Position, bytes]") -> dict[str, Any]:
    from services.contracts.codec import Malformed, loads

    value = bodies.get(sighting.position)
    try:
        body = None if value is None else loads(value)
    except Malformed:
        body = None
    since = None if before is None else (sighting.written_ms - before.written_ms) / 1000
    told = {name: value for name, value in asdict(sighting).items() if name not in ("case_id", "title", "source")}
    return {**told, "topic": sighting.topic, "since_last_s": since, "body": body}


def _show(told: Mapping[str, Any]) -> None:
    for work in told["works"]:
        out.print(
            f"[bold]{told['case_id']}[/]  {work['work_id']}  {work['recipe_id']}", highlight=False, soft_wrap=True
        )
        out.print(work["title"], markup=False, highlight=False)
        kinds = " · ".join(each for each in (work["source"], work["subject"], work["difficulty"]) if each)
        end = work["end"] or f"open, in {work['topic']}"
        out.print(" · ".join(each for each in (kinds, end, work["why"]) if each), markup=False, highlight=False)
        _show_way(work["way"])
        _show_bodies(work["way"])


def _show_way(way: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table

    times = [datetime.fromtimestamp(step["written_ms"] / 1000, UTC) for step in way]
    table = Table(f"{times[0]:%Y-%m-%d} UTC", "after", "topic", "life", "round", "paths")
    for step, time in zip(way, times, strict=True):
        at = f"{time:%H:%M:%S}" if time.date() == times[0].date() else f"{time:%m-%d %H:%M:%S}"
        after = "" if step["since_last_s"] is None else f"{step['since_last_s']:.1f} s"
        paths = ", ".join(f"{count} {name}" for name, count in step["paths"].items())
        table.add_row(at, after, step["topic"], str(step["life"]), str(step["round"]), paths)
    out.print(table)


def _show_bodies(way: Sequence[Mapping[str, Any]]) -> None:
    """The paths of the last case that Kafka still holds, and the records."""
    cases = [step["body"] for step in way if step["body"] is not None and "paths" in step["body"]]
    for path in cases[-1]["paths"] if cases else ():
        verdict, score = path.get("verdict") or {}, path.get("score") or {}
        said = verdict.get("outcome", "unverified") if path.get("failure") is None else f"failed: {path['failure']}"
        points = "" if score.get("value") is None else f", {score['value']} of 5"
        reason = str(verdict.get("reason") or "")[:CHARACTERS]
        head = f"{path['origin']} {path['round']}/{path['slot']} {path['alias']}: {said}{points}"
        out.print(f"{head}. {reason}", markup=False, highlight=False)
    for step in way:
        if step["body"] is not None and "summary" in step["body"]:
            summary = step["body"]["summary"][:CHARACTERS]
            out.print(f"record {step['index'] + 1} of {step['of']}: {summary}", markup=False, highlight=False)
