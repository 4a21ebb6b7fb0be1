"""A replay: real questions through the whole stream, answered from recordings of real models."""

import gzip
import random
from collections.abc import Iterator
from pathlib import Path

from services.core.messages import OutgoingRecord
from services.importers.rows import Rejected, submissions

QUESTIONS = "questions.jsonl.gz"

SECONDS_A_QUESTION = 2.0
"""Seconds per question in the deadline. Measured on two shared cores: 0.11, with 1,000 questions and calls of 0.2 s."""
START_S = 120.0
"""The constant part of the deadline, in seconds."""


class NoData(ValueError):
    """The folder lacks data for a replay. The text says what is missing."""


def sample(data: Path, count: int, seed: int) -> list[OutgoingRecord]:
    """`count` distinct questions of the folder, drawn by the seed, as messages that `submit` would send.

    Raises NoData if the folder has fewer questions, or none.
    """
    distinct = {message.key: message for message in _questions(data / QUESTIONS)}
    if len(distinct) < count:
        raise NoData(f"{data} has {len(distinct)} distinct questions, fewer than {count}: lower --questions")
    return random.Random(seed).sample([distinct[key] for key in sorted(distinct)], count)


def deadline_s(count: int) -> float:
    """The deadline in seconds for a replay of `count` questions."""
    return START_S + SECONDS_A_QUESTION * count


def _questions(path: Path) -> Iterator[OutgoingRecord]:
    if not path.exists():
        raise NoData(f"there is no {path}: --data names a folder with questions.jsonl.gz and recordings.jsonl.gz")
    with gzip.open(path, "rb") as lines:
        for row in submissions(lines):
            if not isinstance(row, Rejected):
                yield row
