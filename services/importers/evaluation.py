"""Builds an evaluation index from question files of any supported format."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from services.contracts.codec import decode
from services.contracts.question import Question, Submission
from services.core.dedupe.evaluation_index import Entry, EvaluationIndex, build
from services.importers.files import Observer
from services.importers.formats import Asked, chosen
from services.importers.places import File
from services.importers.readers import reading
from services.importers.rows import Refused, Rejected, message
from services.importers.submit import Counts

_PROGRESS = 200
"""Rows between two progress callbacks."""


@dataclass
class Indexed:
    """The index and its sources."""

    index: EvaluationIndex
    files: dict[str, Counts] = field(default_factory=dict)
    """By file: questions in the index, and rejected rows."""


def index(files: Sequence[File], asked: Asked, *, observer: Observer) -> Indexed:
    """Build the index of all questions of these files, with or without an answer. Raises OSError, and Refused if the
    format of a file is unknown or it has no questions: without a set, the index would admit its questions."""
    counts = {str(file): Counts() for file in files}
    asked = replace(asked, answered=False)  # questions are compared by stem and options
    made = build(question for file in files for question in _questions(file, asked, counts[str(file)], observer))
    return Indexed(made, counts)


def _questions(file: File, asked: Asked, counts: Counts, observer: Observer) -> Iterator[tuple[Entry, Question]]:
    try:
        how = chosen(file, asked)
        observer.opened(str(file), how.name, 0)
        with reading(file, how.shape) as read:
            for number, row in enumerate(read.rows):
                made = message(row, how.parse)
                if isinstance(made, Rejected):
                    counts.rejected += 1
                    observer.rejected(made)
                    continue
                counts.submitted += 1
                question = decode(Submission, made.value).question
                yield Entry.of(file.name, question, row.line), question
                if number % _PROGRESS == 0:
                    observer.progress(read.fraction(), counts)
    except Refused as refused:
        raise Refused(f"{file}: {refused}") from refused
