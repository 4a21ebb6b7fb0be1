"""Previews a file without Kafka: accepted and rejected rows, and the first question as it is parsed."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final, Literal, assert_never

from services.contracts.codec import decode
from services.contracts.question import Submission
from services.core.messages import OutgoingRecord
from services.importers import quality
from services.importers.formats import Asked, Chosen, chosen, reading_stdin
from services.importers.places import File
from services.importers.readers import Reading, reading
from services.importers.rows import Flag, Refused, Rejected, message

LISTED: Final = 1_000
"""The most rows that are listed with their reason; all are counted."""


@dataclass
class Preview:
    """The preview of a file."""

    name: str
    state: Literal["ok", "refused"] = "ok"
    """`refused`: no row would be submitted."""
    why: str | None = None
    """The reason why the file is refused."""
    format: str | None = None
    container: str | None = None
    notice: str | None = None
    accepted: int = 0
    rejected: int = 0
    flagged: int = 0
    """Accepted rows that are flagged."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Rejected rows by field and reason."""
    first: dict[str, Any] | None = None
    """The first question as it is parsed."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Rejected and flagged rows: line, field, why."""


def preview(file: File, asked: Asked) -> Preview:
    """Preview a whole file. Raises OSError."""
    made = Preview(str(file))
    try:
        how = chosen(file, asked)
        with reading(file, how.shape) as read:
            _fill(made, how, read)
    except Refused as refused:
        made.state, made.why = "refused", str(refused)
    return made


def preview_stdin(asked: Asked) -> Preview:
    """Preview the whole standard input."""
    made = Preview("-")
    try:
        with reading_stdin(asked) as (how, read):
            _fill(made, how, read)
    except Refused as refused:
        made.state, made.why = "refused", str(refused)
    return made


def _fill(made: Preview, how: Chosen, read: Reading) -> None:
    made.format, made.container, made.notice = how.name, how.shape.container, how.shape.notice
    reasons: Counter[str] = Counter()

    def flagged(flag: Flag) -> None:
        made.flagged += 1
        _list(made, {"line": flag.line, "flagged": flag.why})

    for row in read.rows:
        made_of = message(row, how.parse, check=quality.check, flagged=flagged)
        match made_of:
            case OutgoingRecord() as record:
                made.accepted += 1
                if made.first is None:
                    made.first = decode(Submission, record.value).question.model_dump(mode="json")
            case Rejected() as rejected:
                made.rejected += 1
                reasons[f"{rejected.field}: {rejected.why}"[:200]] += 1
                _list(made, {"line": rejected.line, "field": rejected.field, "why": rejected.why})
            case _:
                assert_never(made_of)
    made.reasons = dict(reasons.most_common(50))


def _list(made: Preview, row: dict[str, Any]) -> None:
    if len(made.rows) < LISTED:
        made.rows.append(row)
