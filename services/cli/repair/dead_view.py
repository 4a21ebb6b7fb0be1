"""Dead letters as they are shown: as data, and on a screen."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from services.cli.console import err, out
from services.contracts.codec import Malformed, UnknownVersion
from services.contracts.dead import DeadKind
from services.core.messages import ConsumedRecord
from services.deadletters.survey import Row, Survey, row_of

SHOWN = 50
"""Letters in the table, the latest; --json has all."""
VALUE_BYTES = 4_000
"""Of the original, in `show`: a screen or two; --raw has all."""
ERROR_CHARACTERS = 100
"""Of an error, in the table."""

TODO: dict[DeadKind, str] = {
    "poison": "Nobody can read it: find its writer by the key and the bytes, and mend that. It can't be redriven.",
    "not_yet": "Publish the recipe that the error names, or deploy a service that reads this version; then redrive.",
    "too_many_unknown": "Mend the model or the judge that the error names; then redrive: the unknown is asked anew.",
    "no_summary": "See why no summary could be read, and mend the model; then redrive.",
    "killer": "Its processes died with it: see their logs and memory; mend that; then redrive.",
    "defect": "Our code raised: report it with this error; deploy a version without it; then redrive.",
}
"""What to do, by kind; docs/runbook/dead-letters.md says more."""


def counts(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """By service and kind; of these, how many have been redriven."""
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
    """A message of a topic of dead letters, whole but for the bytes beyond the first few thousand."""
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
        return {"unreadable": f"no dead letter: {error}", **original}
    said = plain(row)
    del said["redriven"]  # which takes all letters to know
    return {**said, "what_to_do": TODO[row.reason.kind], **original}


def show_whole(said: dict[str, Any]) -> None:
    """As `whole` says it."""
    for name, value in said.items():
        items = value.items() if isinstance(value, dict) else [("", value)]
        for key, text in items:
            label = f"{name} {key}".strip().replace("_", " ")
            out.print(_safe(f"{label}: {'–' if text is None else text}"), highlight=False, markup=False, soft_wrap=True)


def _text(value: bytes) -> str:
    return value.decode(errors="backslashreplace")


def _safe(text: str) -> str:
    """Without what a terminal would obey: anyone may have written it."""
    return re.sub(r"[^\n\x20-\x7e]", lambda found: found[0] if found[0].isprintable() else repr(found[0])[1:-1], text)


def show_none(found: Survey) -> None:
    """None is meant: because there is none, or because none matches the filter."""
    of = len(found.rows)
    out.print(f"None of {of} dead letters match." if of else "No dead letters.", highlight=False)


def show_list(rows: Sequence[Row]) -> None:
    """Counts, and a table of the latest."""
    for count in counts(rows):
        redriven = f", {count['redriven']} of them redriven" if count["redriven"] else ""
        out.print(f"{count['service']}  {count['kind']}: {count['count']}{redriven}", highlight=False)
    table = Table("service", "place", "kind", "case", "read from", "died", "attempts", "state", "error")
    for row in rows[-SHOWN:]:
        reason = row.reason
        cells = [
            row.service,
            f"{row.partition}/{row.offset}",
            reason.kind,
            row.case_id or "",
            f"{reason.topic}/{reason.partition}/{reason.offset}",
            row.died.isoformat(timespec="seconds"),
            str(reason.attempts),
            "redriven" if row.redriven else "open" if row.why_not is None else "stuck",
            reason.error[:ERROR_CHARACTERS],
        ]
        table.add_row(*(Text(_safe(cell)) for cell in cells))
    out.print(table)
    if len(rows) > SHOWN:
        err.print(f"These are the latest {SHOWN} of {len(rows)}: narrow them down, or see --json.", highlight=False)


def show_redrive(said: dict[str, Any]) -> None:
    """What was sent, or would be."""
    sent = "would go" if said["dry_run"] else "went"
    for each in said["redrives"]:
        out.print(f"{each['count']} {sent} to {each['to']}  ({each['service']}, {each['kind']})", highlight=False)
    if not said["redrives"]:
        out.print("Nothing to redrive.")
    for each in said["stuck"]:
        out.print(f"{each['count']} can't be redriven  ({each['service']}, {each['kind']}):", highlight=False, end=" ")
        out.print(_safe(each["why_not"]), highlight=False, markup=False, soft_wrap=True)
    if said["already_redriven"]:
        out.print(f"{said['already_redriven']} have been redriven already.", highlight=False)
    if said["dry_run"] and said["redrives"]:
        out.print("Nothing was sent: add --yes to do it; and --all, where no filter is given.")


def tell_unreadable(found: Survey) -> None:
    """On stderr: they are nobody's letters."""
    if found.unreadable:
        err.print(f"{found.unreadable} messages in these topics are no dead letters of this version.", highlight=False)
