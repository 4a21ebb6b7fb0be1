"""`reasonmed dead`: list, show and redrive dead letters."""

import asyncio
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, get_args

import typer
from rich.progress import Progress

from services.cli.console import UP, Bootstrap, Folder, Json, Wide, emit, err, many, out
from services.cli.coordinates import client
from services.cli.repair import dead_view as view
from services.cli.run import recipe_store
from services.cli.since import moment
from services.contracts.base import RecipeId
from services.contracts.dead import DeadKind
from services.contracts.topics import QUESTION_SUBMITTED, RECORD_COMPLETED, stage_topic
from services.deadletters import survey as dead_letters
from services.deadletters.redrive import end as end_case
from services.deadletters.survey import DEAD_TOPICS, SERVICES, Filter, Row, Step, Survey
from services.runtime.kafka.client import KafkaClient

app = typer.Typer(no_args_is_help=True, help="Dead letters: list, show, redrive.")

REASON_CHARACTERS = 400
"""Of the reason for an end: what the monitor keeps of one."""

KINDS: tuple[str, ...] = get_args(DeadKind)

Service = Annotated[str | None, typer.Option(help="Only this service's or group's: router, refiner-medium …")]
Kind = Annotated[str | None, typer.Option(help=f"Only this kind: {', '.join(KINDS)}.")]
OfCase = Annotated[str | None, typer.Option("--case", help="Only the case with this id.")]
Since = Annotated[
    str | None, typer.Option(help="Only those written since: 15m, 2026-05-17, 2026-05-17T09:30+02:00 (else UTC).")
]


@dataclass(frozen=True)
class Place:
    """Where a letter is in its topic, as `dead list` prints it: PARTITION/OFFSET."""

    partition: int
    offset: int

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Raises typer.BadParameter."""
        if not (found := re.fullmatch(r"(\d{1,9})/(\d{1,18})", text)):
            raise typer.BadParameter("PARTITION/OFFSET, as in 2/17: the second column of `reasonmed dead list`")
        return cls(int(found[1]), int(found[2]))


@app.command("list")
def list_(
    service: Service = None,
    kind: Kind = None,
    case: OfCase = None,
    since: Since = None,
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
    json: Json = False,
    wide: Wide = False,
) -> None:
    """List dead letters: counts by service and kind, then each with its place, case and error.

    `dead show` takes the service and the place. State: `open` can be redriven, `redriven` has been, `stuck` can't be.

    Example:  reasonmed dead list --kind too_many_unknown --since 2026-05-17
    """
    wanted = _filter(service, kind, case, since)
    found = asyncio.run(_survey(client(bootstrap, folder), quiet=json))
    rows = [row for row in found.rows if wanted.takes(row)]
    if json:
        letters = [view.plain(row) for row in rows]
        emit({"counts": view.counts(rows), "unreadable": found.unreadable, "letters": letters})
        return
    view.show_list(rows, wide=wide) if rows else view.show_none(found)
    view.report_unreadable(found)


@app.command("show")
def show(
    service: Annotated[str, typer.Argument(help="The letter's service: the first column of `reasonmed dead list`.")],
    place: Annotated[Place, typer.Argument(parser=Place.parse, metavar="PARTITION/OFFSET", help="As in 2/17.")],
    raw: Annotated[Path | None, typer.Option(help="Write the original's bytes to this file.")] = None,
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """Show a whole dead letter: the error, the remedy, its headers, and the original's bytes.

    Example:  reasonmed dead show router 2/17 --raw original.json
    """
    if service not in DEAD_TOPICS.values():
        raise typer.BadParameter(f"one of {', '.join(DEAD_TOPICS.values())}", param_hint="SERVICE")
    message = asyncio.run(dead_letters.one(client(bootstrap, folder), service, place.partition, place.offset))
    if raw is not None:
        raw.write_bytes(message.value or b"")
    letter = view.whole(message)
    emit(letter) if json else view.show_whole(letter)


@app.command("redrive")
def redrive(  # noqa: PLR0913 -- Typer makes an option of each argument
    service: Service = None,
    kind: Kind = None,
    case: OfCase = None,
    since: Since = None,
    every: Annotated[bool, typer.Option("--all", help="All letters: instead of a filter.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Send them; without it, only print what would go where.")] = False,
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """Redrive dead letters, each once: a dry run without --yes, which needs a filter or --all.

    A case begins a new life, in which a repeated request is a new call, and paid for. Its unknown paths are generated
    again; the others are kept. A record, and what only a newer version reads, goes back unchanged. Ctrl-C is safe: run
    the command again for the rest.

    Example:  reasonmed dead redrive --kind too_many_unknown --yes
    """
    wanted, kafka = _filter(service, kind, case, since), client(bootstrap, folder)
    _refuse_unfiltered(wanted, every=every, yes=yes)
    found = asyncio.run(_survey(kafka, quiet=json))
    rows = [row for row in found.rows if wanted.takes(row)]
    chosen = dead_letters.to_send(rows)
    if yes and chosen:
        with _progress("redriving", len(chosen), quiet=json) as step:
            asyncio.run(dead_letters.send(kafka, chosen, step))
    result = {
        "dry_run": not yes,
        "redrives": view.by(chosen, "to"),
        "already_redriven": sum(row.redriven for row in rows),
        "stuck": view.by([row for row in rows if row.why_not is not None], "why_not"),
    }
    if json:
        emit(result)
    else:
        view.show_redrive(result) if rows else view.show_none(found)
    view.report_unreadable(found)


@app.command("end")
def end(  # noqa: PLR0913 -- Typer makes an option of each argument
    reason: Annotated[str, typer.Option(help="Why, for people: the rejected case says it.")],
    service: Service = None,
    kind: Kind = None,
    case: OfCase = None,
    since: Since = None,
    every: Annotated[bool, typer.Option("--all", help="All letters: instead of a filter.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="End them; without it, only count them.")] = False,
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """End the cases of dead letters for good: each becomes a rejected case with the reason, and counts as rejected.

    Their letters can't be redriven afterwards. A dry run without --yes, which needs a filter or --all. Malformed
    messages and records have no case to end.

    Example:  reasonmed dead end --case case-0123456789abcdef --reason "question withdrawn" --yes
    """
    wanted, kafka = _filter(service, kind, case, since), client(bootstrap, folder)
    _refuse_unfiltered(wanted, every=every, yes=yes)
    found = asyncio.run(_survey(kafka, quiet=json))
    rows = [row for row in found.rows if wanted.takes(row)]
    chosen = [row for row in dead_letters.to_send(rows) if row.reason.topic != RECORD_COMPLETED]
    if yes and chosen:
        with _progress("ending", len(chosen), quiet=json) as step:
            asyncio.run(_end(kafka, chosen, reason[:REASON_CHARACTERS], step))
    result = {"dry_run": not yes, "ended": len(chosen), "already": sum(row.redriven for row in rows)}
    if json:
        emit(result)
        return
    out.print(f"{'Ended' if yes else 'Would end'} {many(len(chosen), 'case')}.", highlight=False)
    if not chosen:
        out.print("No letter of a case matches that was not redriven or ended before: see `reasonmed dead list`.")
    if not yes and chosen:
        out.print("Nothing was sent: add --yes to end them.")


async def _end(kafka: KafkaClient, chosen: Collection[Row], reason: str, step: Step) -> None:
    current = None
    if any(stage_topic(row.reason.topic) == QUESTION_SUBMITTED for row in chosen):
        _, current = await recipe_store.published(kafka)
    ended = partial(end_case, reason=reason, current=None if current is None else RecipeId(current))
    await dead_letters.send(kafka, chosen, step, make=ended)


async def _survey(kafka: KafkaClient, *, quiet: bool) -> Survey:
    with _progress("reading", await dead_letters.count(kafka), quiet=quiet) as step:
        return await dead_letters.survey(kafka, step)


@contextmanager
def _progress(label: str, total: int, *, quiet: bool) -> Iterator[Step]:
    with Progress(console=err, transient=True, disable=quiet or not err.is_terminal) as bar:
        task = bar.add_task(label, total=total)
        yield lambda more: bar.advance(task, more)


def _filter(service: str | None, kind: str | None, case: str | None, since: str | None) -> Filter:
    if service not in (None, *SERVICES):
        raise typer.BadParameter(f"one of {', '.join(SERVICES)}", param_hint="--service")
    if kind not in (None, *KINDS):
        raise typer.BadParameter(f"one of {', '.join(KINDS)}", param_hint="--kind")
    return Filter(service=service, kind=kind, case=case, since=moment(since))


def _refuse_unfiltered(wanted: Filter, *, every: bool, yes: bool) -> None:
    """A redrive begins new lives, which are paid for: leaving a filter out must not send everything."""
    unfiltered = wanted == Filter()
    if (yes and unfiltered and not every) or (every and not unfiltered):
        raise typer.BadParameter("either a filter (--service, --kind, --case, --since) or --all", param_hint="--yes")
