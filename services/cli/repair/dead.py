"""`reasonmed dead`: look at dead letters, and send them on their way again."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from services.cli.console import UP, Bootstrap, Folder, Json, emit, err
from services.cli.coordinates import client
from services.cli.repair import dead_view as view
from services.cli.since import moment
from services.deadletters import survey as dead_letters
from services.deadletters.survey import SERVICES, Filter, Step, Survey
from services.runtime.kafka.client import KafkaClient

app = typer.Typer(no_args_is_help=True, help="Look at dead letters, and send them on their way again.")

KINDS = ("poison", "not_yet", "too_many_unknown", "no_summary", "killer", "defect")
"""As in services.contracts.dead, which --help is not to load."""

Service = Annotated[str | None, typer.Option(help="Only of this service, or group: router, refiner-medium …")]
Kind = Annotated[str | None, typer.Option(help=f"Only of this kind: {', '.join(KINDS)}.")]
OfCase = Annotated[str | None, typer.Option("--case", help="Only of the case with this id.")]
Since = Annotated[
    str | None, typer.Option(help="Only what died since: 15m, 2026-05-17, 2026-05-17T09:30+02:00 (else UTC).")
]


@app.command("list")
def list_(
    service: Service = None,
    kind: Kind = None,
    case: OfCase = None,
    since: Since = None,
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """List dead letters: counts by service and kind, then each with its place, its case, and what was wrong.

    Its place is what `show` takes. `redriven`: it is on its way again, or was. `stuck`: it can't be redriven.

    Example:  reasonmed dead list --kind too_many_unknown --since 2026-05-17
    """
    meant = _filter(service, kind, case, since)
    found = asyncio.run(_survey(client(bootstrap, folder), quiet=json))
    rows = [row for row in found.rows if meant.takes(row)]
    if json:
        letters = [view.plain(row) for row in rows]
        emit({"counts": view.counts(rows), "unreadable": found.unreadable, "letters": letters})
        return
    view.show_list(rows) if rows else view.show_none(found)
    view.tell_unreadable(found)


@app.command("show")
def show(
    service: Annotated[str, typer.Argument(help="Whose dead letter: the first column of `reasonmed dead list`.")],
    partition: Annotated[int, typer.Argument(min=0, help="Its place: PARTITION/OFFSET in the second column.")],
    offset: Annotated[int, typer.Argument(min=0, help="And after the stroke, its offset.")],
    raw: Annotated[Path | None, typer.Option(help="Write the original's bytes to this file.")] = None,
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """Show a dead letter whole: what was wrong, what to do, its headers, and the original's bytes.

    Example:  reasonmed dead show router 2 17 --raw original.json
    """
    if f"{service}-dead" not in dead_letters.DEAD_TOPICS:
        raise typer.BadParameter(f"one of {', '.join(dead_letters.DEAD_TOPICS.values())}", param_hint="SERVICE")
    message = asyncio.run(dead_letters.one(client(bootstrap, folder), service, partition, offset))
    if raw is not None:
        raw.write_bytes(message.value or b"")
    said = view.whole(message)
    emit(said) if json else view.show_whole(said)


@app.command("redrive")
def redrive(
    service: Service = None,
    kind: Kind = None,
    case: OfCase = None,
    since: Since = None,
    every: Annotated[bool, typer.Option("--all", help="All that stand there: instead of a filter.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without, only say what would go where.")] = False,
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """Send dead letters on their way again, each once: a dry run, unless --yes is given, with a filter or --all.

    A case begins a new life, in which what is asked again is a new call: paid for, like any. Its unknown paths are
    written anew; what is known is kept. A record, and what only a newer version reads, goes back as it was. Ctrl-C is
    safe: run it again for the rest.

    Example:  reasonmed dead redrive --kind too_many_unknown --yes
    """
    meant, kafka = _filter(service, kind, case, since), client(bootstrap, folder)
    _refuse_unmeant(meant, every=every, yes=yes)
    found = asyncio.run(_survey(kafka, quiet=json))
    rows = [row for row in found.rows if meant.takes(row)]
    chosen = dead_letters.to_send(rows)
    if yes and chosen:
        with _progress("redriving", len(chosen), quiet=json) as step:
            asyncio.run(dead_letters.send(kafka, chosen, step))
    said = {
        "dry_run": not yes,
        "redrives": view.by(chosen, "to"),
        "already_redriven": sum(row.redriven for row in rows),
        "stuck": view.by([row for row in rows if row.why_not is not None], "why_not"),
    }
    if json:
        emit(said)
    else:
        view.show_redrive(said) if rows else view.show_none(found)
    view.tell_unreadable(found)


async def _survey(kafka: KafkaClient, *, quiet: bool) -> Survey:
    with _progress("reading", await dead_letters.count(kafka), quiet=quiet) as step:
        return await dead_letters.survey(kafka, step)


@contextmanager
def _progress(doing: str, total: int, *, quiet: bool) -> Iterator["Step"]:
    with Progress(console=err, transient=True, disable=quiet or not err.is_terminal) as bar:
        task = bar.add_task(doing, total=total)
        yield lambda more: bar.advance(task, more)


def _filter(service: str | None, kind: str | None, case: str | None, since: str | None) -> Filter:
    if service not in (None, *SERVICES):
        raise typer.BadParameter(f"one of {', '.join(SERVICES)}", param_hint="--service")
    if kind not in (None, *KINDS):
        raise typer.BadParameter(f"one of {', '.join(KINDS)}", param_hint="--kind")
    return Filter(service=service, kind=kind, case=case, since=moment(since))


def _refuse_unmeant(meant: Filter, *, every: bool, yes: bool) -> None:
    """What is sent begins new lives, paid for anew: nobody is to send all of it by leaving a filter out."""
    unfiltered = meant == Filter()
    if (yes and unfiltered and not every) or (every and not unfiltered):
        raise typer.BadParameter("either a filter (--service, --kind, --case, --since) or --all", param_hint="--yes")
