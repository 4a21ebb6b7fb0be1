"""The questions of a benchmark's files, each with a known answer."""

from collections.abc import Sequence
from typing import Any

from services.benchmark.asking import Item
from services.cli.console import Failed, err
from services.cli.ingest.indexing import files_of
from services.contracts.codec import decode
from services.contracts.question import Submission
from services.core import ids
from services.importers.formats import Asked, chosen
from services.importers.places import File
from services.importers.readers import reading
from services.importers.rows import Refused, Rejected, message


def read(given: Sequence[str], asked: Asked) -> tuple[list[Item], dict[str, Any]]:
    """The distinct questions of files and folders, in order; and by file, questions and rejected rows. Raises
    Failed."""
    files, _ = files_of(list(given))
    items: dict[str, Item] = {}
    counts: dict[str, Any] = {}
    for file in files:
        found, rejected = _read_one(file, asked)
        if rejected:
            err.print(f"{file}: {rejected} rows are no questions, and not asked", highlight=False)
        for item in found:
            items.setdefault(ids.case_id(item.question), item)
        counts[str(file)] = {"questions": len(found), "rejected": rejected}
    if not items:
        raise Failed("these files hold no question with an answer: see what is read with `reasonmed submit --dry-run`")
    return list(items.values()), counts


def _read_one(file: File, asked: Asked) -> tuple[list[Item], int]:
    found, rejected = [], 0
    try:
        how = chosen(file, asked)
        with reading(file, how.shape) as read:
            for row in read.rows:
                made = message(row, how.parse)
                if isinstance(made, Rejected):
                    rejected += 1
                    continue
                question = decode(Submission, made.value).question
                found.append(Item(question.source or file.name, question.id or str(row.line), question))
    except Refused as refused:
        raise Failed(f"{file}: {refused}") from refused
    return found, rejected
