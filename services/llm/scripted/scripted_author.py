"""Chains of thought by a script: right as often as the question is easy."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.contracts.base import CaseId
from services.contracts.question import Question
from services.core.case.answers import stated
from services.llm.scripted import texts
from services.llm.scripted.asks import CHARACTERS_A_TOKEN, Ask
from services.llm.scripted.seeded import fraction, pick


@dataclass(frozen=True)
class Difficulty:
    """How often a path on a question is right, by who writes it."""

    share: float
    """Of the known questions, so many are like this."""
    generate: float
    refine: float
    reason: float


DIFFICULTIES = (
    Difficulty(share=0.50, generate=0.85, refine=0.90, reason=0.90),
    Difficulty(share=0.23, generate=0.36, refine=0.75, reason=0.75),
    Difficulty(share=0.17, generate=0.04, refine=0.60, reason=0.65),
    Difficulty(share=0.10, generate=0.03, refine=0.0, reason=0.0),
)
"""Easy; medium; difficult, and solved by the strong model; never solved. So all routes are taken: with nine paths and
the judge's errors, these rates lead to at least 5, to 2 to 4, and to at most one of nine correct in 98, 72 and 95% of
cases."""


class ScriptedAuthor:
    """Writes by the script. Each known question has a difficulty: they are ranked by a seeded number and shared out, so
    that thirty questions hold some of each."""

    def __init__(self, known: Mapping[CaseId, Question], *, seed: int, reply_bytes: int = 0) -> None:
        self._known = known
        self._seed = seed
        self._reply_bytes = reply_bytes
        self._difficulties = _shared_out(known, seed)

    def write(self, ask: Ask) -> str:
        """Six parts and the required last line."""
        question = self._known.get(ask.case_id)
        key = (self._seed, ask.stage, ask.case_id, ask.seed)
        if question is None:
            letter = pick("ABCD", "letter", *key)
            return texts.plain_path(letter, key, self._reply_bytes)
        letter = self._letter(ask, question, key)
        return texts.path(question, letter, key, room=CHARACTERS_A_TOKEN * ask.max_tokens, size=self._reply_bytes)

    def holds(self, ask: Ask, path: str) -> bool:
        """By the answer that the path states; of an unknown question, by chance."""
        question = self._known.get(ask.case_id)
        if question is None:
            return fraction(self._seed, "unknown", ask.case_id, path) < 0.5
        return stated(path, question) == question.answer

    def _letter(self, ask: Ask, question: Question, key: tuple[object, ...]) -> str:
        difficulty = self._difficulties[ask.case_id]
        rates = {"generate": difficulty.generate, "refine": difficulty.refine, "reason": difficulty.reason}
        if fraction("right", *key) < rates.get(ask.stage, difficulty.generate):
            return question.answer
        return pick([letter for letter in question.options if letter != question.answer], "wrong", *key)


def _shared_out(known: Mapping[CaseId, Question], seed: int) -> dict[str, Difficulty]:
    ranked = sorted(known, key=lambda case_id: fraction(seed, "difficulty", case_id))
    return {case_id: _at((rank + 0.5) / len(ranked)) for rank, case_id in enumerate(ranked)}


def _at(place: float) -> Difficulty:
    upto = 0.0
    for difficulty in DIFFICULTIES:
        upto += difficulty.share
        if place < upto:
            return difficulty
    return DIFFICULTIES[-1]
