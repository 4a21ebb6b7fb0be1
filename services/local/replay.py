"""A replay: real questions through the whole stream, answered from what real models once wrote on them."""

import gzip
import random
from collections.abc import Iterator
from pathlib import Path

from services.core.messages import OutgoingRecord
from services.importers.rows import Rejected, submissions

QUESTIONS = "questions.jsonl.gz"

SECONDS_A_QUESTION = 2.0
"""For the deadline. Measured on two cores that other work shared: 0.11, of 1,000 questions with calls of 0.2 s."""
START_S = 120.0
"""Of the deadline, whatever the number of questions."""


class NoData(ValueError):
    """The folder doesn't hold what a replay needs. Says what is missing."""


def sample(data: Path, count: int, seed: int) -> list[OutgoingRecord]:
    """`count` different questions of the folder, drawn by the seed; their bytes as the command line submits them.

    Raises NoData where the folder has no questions, or fewer.
    """
    distinct = {message.key: message for message in _questions(data / QUESTIONS)}
    if len(distinct) < count:
        raise NoData(f"{data} holds {len(distinct)} different questions, {count} were asked for: ask for fewer")
    return random.Random(seed).sample([distinct[key] for key in sorted(distinct)], count)


def deadline_s(count: int) -> float:
    """Seconds after which a replay of so many questions is given up."""
    return START_S + SECONDS_A_QUESTION * count


def _questions(path: Path) -> Iterator[OutgoingRecord]:
    if not path.exists():
        raise NoData(f"there is no {path}: --data names a folder with questions.jsonl.gz and recordings.jsonl.gz")
    with gzip.open(path, "rb") as lines:
        for row in submissions(lines):
            if not isinstance(row, Rejected):
                yield row
