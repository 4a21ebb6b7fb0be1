"""Chains of thought from recordings: what real models wrote on real questions."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.contracts.base import CaseId
from services.contracts.question import Question
from services.core.case.answers import stated
from services.llm.scripted import known, texts
from services.llm.scripted.asks import Ask
from services.llm.scripted.seeded import fraction, pick, text_digest

PREFER_RIGHT = 0.7
"""The probability that a refiner or the strong model uses a correct recording, if there is one."""

_LAST_LINE = re.compile(r"\n*^Final answer:.*\Z", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Recording:
    """A recorded text in our form, and the letter that its model chose."""

    text: str
    choice: str | None


class RecordedAuthor:
    """Draws among a question's recordings by the request's seed; without a recording, the scripted author writes."""

    def __init__(
        self, recordings: Mapping[str, Sequence[Recording]], questions: Mapping[CaseId, Question], *, seed: int
    ):
        self._recordings = recordings
        self._questions = questions
        self._seed = seed
        self._choices = {
            (case_id, text_digest(recording.text)): recording.choice
            for case_id, recorded in recordings.items()
            for recording in recorded
        }

    def write(self, ask: Ask) -> str:
        """One of the question's recordings; a refiner's is another than the path in its prompt, where there is one."""
        key = (self._seed, ask.stage, ask.case_id, ask.seed)
        recorded = self._recordings.get(ask.case_id, ())
        if not recorded:
            return texts.plain_path(pick("ABCD", "letter", *key), key)
        if ask.stage not in ("generate", "benchmark"):
            recorded = self._better(ask, recorded, key)
        return pick(recorded, "recording", *key).text

    def holds(self, ask: Ask, path: str) -> bool:
        """By the choice that was recorded with the path; by the answer that it states, where it is no recording."""
        question = self._questions.get(ask.case_id)
        if question is None:
            return False
        where = (ask.case_id, text_digest(path))
        choice = self._choices[where] if where in self._choices else stated(path, question)
        return choice == question.answer

    def _better(self, ask: Ask, recorded: Sequence[Recording], key: tuple[object, ...]) -> Sequence[Recording]:
        shown = ask.path()
        others = [recording for recording in recorded if recording.text != shown] or recorded
        gold = self._questions[ask.case_id].answer
        right = [recording for recording in others if recording.choice == gold]
        return right if right and fraction("right", *key) < PREFER_RIGHT else others


def load(folder: Path, *, seed: int) -> tuple[dict[CaseId, Question], RecordedAuthor]:
    """Questions and recordings of a data folder (questions.jsonl.gz, recordings.jsonl.gz). Raises OSError,
    ValueError."""
    questions = known.questions(folder / "questions.jsonl.gz")
    cases = known.case_ids(questions)
    recordings = defaultdict[str, list[Recording]](list)
    for row in known.rows(folder / "recordings.jsonl.gz"):
        assert isinstance(row, dict)
        if (case_id := cases.get(row["question_id"])) is not None:
            recordings[case_id].append(_recording(row))
    return questions, RecordedAuthor(recordings, questions, seed=seed)


def _recording(row: Mapping[str, Any]) -> Recording:
    choice = row["choice"]
    if choice is None:
        return Recording(row["raw"].strip(), None)
    return Recording(f"{_LAST_LINE.sub('', row['text']).strip()}\n\nFinal answer: {choice}".strip(), choice)
