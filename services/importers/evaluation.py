"""An evaluation index from question files, in any format that is read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from services.contracts.codec import decode
from services.contracts.question import Question, Submission
from services.core.dedupe.evaluation_index import Entry, EvaluationIndex, build
from services.importers.files import Asked, Ears
from services.importers.formats import chosen
from services.importers.readers import reading
from services.importers.rows import Refused, Rejected, message
from services.importers.submit import Counts

_TELL = 200
"""Rows between two words on how far it is."""


@dataclass
class Indexed:
    """What came of the files."""

    index: EvaluationIndex
    files: dict[str, Counts] = field(default_factory=dict)
    """By file: questions that were taken, rows that are none."""


def index(files: Sequence[Path], asked: Asked, *, ears: Ears) -> Indexed:
    """The index of all that these files hold. Raises Refused where a file can't be read as questions, and OSError: an
    index that lacks a set would let its questions in."""
    counts = {str(file): Counts() for file in files}
    made = build(question for file in files for question in _questions(file, asked, counts[str(file)], ears))
    return Indexed(made, counts)


def _questions(file: Path, asked: Asked, counts: Counts, ears: Ears) -> Iterator[tuple[Entry, Question]]:
    try:
        how = chosen(file, asked.format, asked.columns)
        ears.opened(str(file), how.format.name, 0)
        with reading(file, how.container) as read:
            for number, row in enumerate(read.rows):
                made = message(row, how.parse)
                if isinstance(made, Rejected):
                    counts.rejected += 1
                    ears.rejected(made)
                    continue
                counts.submitted += 1
                question = decode(Submission, made.value).question
                yield Entry.of(file.name, question, row.line), question
                if number % _TELL == 0:
                    ears.progress(read.fraction(), counts)
    except Refused as refused:
        raise Refused(f"{file}: {refused}") from refused
