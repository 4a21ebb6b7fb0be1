"""Dead letters as data, and on a screen."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from services.cli.console import Column, err, many, out, print_table
from services.contracts.codec import Malformed, UnknownVersion
from services.contracts.dead import DeadKind
from services.core.messages import ConsumedRecord
from services.deadletters.survey import Row, Survey, row_of

SHOWN = 50
"""Letters in the table, the latest ones; --json has all."""
VALUE_BYTES = 4_000
"""Of the original in `show`: a screen or two; --raw has all."""
ERROR_CHARACTERS = 100
"""Of an error in the table."""

REMEDIES: dict[DeadKind, str] = {
    "poison": "Malformed: find its writer by the key and the bytes, and repair that. It can't be redriven.",
    "not_yet": "Publish the recipe that the error names, or deploy a service that reads this version; then redrive.",
    "too_many_unknown": "Repair the model or judge in the error; then redrive: unknown paths are generated again.",
    "no_summary": "Find out why no summary could be read, and repair the model; then redrive.",
    "killer": "It crashed its processes: check their logs and memory, repair the cause; then redrive.",
    "defect": "A bug in our code: report it with this error, deploy a version with the fix; then redrive.",
}
"""The remedy by kind; docs/runbook/dead-letters.md has more."""


COLUMNS = (
    *(Column("service"), Column("place"), Column("kind", drop=1), Column("case"), Column("state", drop=2)),
    *(Column("died", drop=3), Column("read from", drop=4), Column("attempts", right=True, drop=6)),
    Column("error", drop=5),
)


def counts(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Letters by service and kind, and how many of them have been redriven."""
    counted = Counter((row.service, row.reason.kind) for row in rows)
    redriven = Counter((row.service, row.reason.kind) for row in rows if row.redriven)
    return [
        {"service": service, "kind": kind, "count": count, "redriven": redriven[service, kind]}
        for (service, kind), count in sorted(counted.items())
    ]


def by(rows: Sequence[Row], field: Literal["to", "why_not"]) -> list[dict[str, Any]]:
    """Counts by service, kind, and a field of the row."""
    counted = Counter((row.service, row.reason.kind, str(getattr(row, field))) for row in rows)
    return [
        {"service": service, "kind": kind, field: what, "count": count}
        for (service, kind, what), count in sorted(counted.items())
    ]


def plain(row: Row) -> dict[str, Any]:
    """A letter as data, without its bytes."""
    return {
        "service": row.service,
        "partition": row.partition,
        "offset": row.offset,
        "died": row.died.isoformat(timespec="seconds"),
        "case_id": row.case_id,
        "kind": row.reason.kind,
        "error": row.reason.error,
        "attempts": row.reason.attempts,
        "from": {"topic": row.reason.topic, "partition": row.reason.partition, "offset": row.reason.offset},
        "redriven": row.redriven,
        "to": row.to,
        "why_not": row.why_not,
    }


def whole(message: ConsumedRecord) -> dict[str, Any]:
    """A message of a dead-letter topic; of its bytes the first few thousand."""
    value = message.value or b""
    more = f" … (--raw FILE has all {len(value)} bytes)" if len(value) > VALUE_BYTES else ""
    original = {
        "headers": {name: _text(header) for name, header in message.headers.items()},
        "key": _text(message.key or b""),
        "value": _text(value[:VALUE_BYTES]) + more,
    }
    try:
        row = row_of(message)
    except (Malformed, UnknownVersion) as error:
        return {"unreadable": f"not a dead letter: {error}", **original}
    letter = plain(row)
    del letter["redriven"]  # known only from all letters
    return {**letter, "what_to_do": REMEDIES[row.reason.kind], **original}


def show_whole(letter: dict[str, Any]) -> None:
    """Print what `whole` returned."""
    for name, value in letter.items():
        items = value.items() if isinstance(value, dict) else [("", value)]
        for key, text in items:
            label = f"{name} {key}".strip().replace("_", " ")
            out.print(_safe(f"{label}: {'–' if text is None else text}"), highlight=False, markup=False, soft_wrap=True)


def _text(value: bytes) -> str:
    return value.decode(errors="backslashreplace")


def _safe(text: str) -> str:
    """The text without terminal control sequences: any client may have written it."""
    return re.sub(r"[^\n\x20-\x7e]", lambda found: found[0] if found[0].isprintable() else repr(found[0])[1:-1], text)


def show_none(found: Survey) -> None:
    """Say that there are no letters, or that none matches the filter."""
    of = len(found.rows)
    out.print(f"None of {many(of, 'dead letter')} matches." if of else "No dead letters.", highlight=False)


def show_list(rows: Sequence[Row], *, wide: bool) -> None:
    """Print counts, and a table of the latest letters."""
    for count in counts(rows):
        redriven = f", {count['redriven']} of them redriven" if count["redriven"] else ""
        out.print(f"{count['service']}  {count['kind']}: {count['count']}{redriven}", highlight=False)
    print_table(COLUMNS, [_cells(row) for row in rows[-SHOWN:]], wide=wide)
    if len(rows) > SHOWN:
        err.print(f"These are the latest {SHOWN} of {len(rows)}: narrow them down, or see --json.", highlight=False)


def _cells(row: Row) -> list[str]:
    reason = row.reason
    state = "redriven" if row.redriven else "open" if row.why_not is None else "stuck"
    cells = [
        row.service,
        f"{row.partition}/{row.offset}",
        reason.kind,
        row.case_id or "",
        state,
        row.died.isoformat(timespec="seconds"),
        f"{reason.topic}/{reason.partition}/{reason.offset}",
        str(reason.attempts),
        reason.error[:ERROR_CHARACTERS],
    ]
    return [_safe(cell) for cell in cells]


def show_redrive(result: dict[str, Any]) -> None:
    """Print what was sent, or would be."""
    sent = "would go" if result["dry_run"] else "went"
    for each in result["redrives"]:
        out.print(f"{each['count']} {sent} to {each['to']}  ({each['service']}, {each['kind']})", highlight=False)
    if not result["redrives"]:
        out.print("Nothing to redrive.")
    for each in result["stuck"]:
        out.print(f"{each['count']} can't be redriven  ({each['service']}, {each['kind']}):", highlight=False, end=" ")
        out.print(_safe(each["why_not"]), highlight=False, markup=False, soft_wrap=True)
    if result["already_redriven"]:
        out.print(f"Already redriven: {result['already_redriven']}.", highlight=False)
    if result["dry_run"] and result["redrives"]:
        out.print("Nothing was sent: add --yes to send them, and --all where no filter is given.")


def report_unreadable(found: Survey) -> None:
    """Count the unreadable messages on stderr."""
    if found.unreadable:
        err.print(
            f"Unreadable to this version: {many(found.unreadable, 'message')}.",
            highlight=False,
        )
