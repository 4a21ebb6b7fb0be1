"""Questions of sets, and models that answer them by a rule."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from services.benchmark.asking import Candidate, Item
from services.contracts.question import Question
from services.contracts.recipe import Model, Sampling


@pytest.fixture
def item() -> Callable[..., Item]:
    def make(number: int = 0, name: str = "medqa", subject: str | None = None, answer: str = "B") -> Item:
        options = {"A": "this", "B": "that", "C": "other"}
        question = Question(question=f"Question {number}?", options=options, answer=answer, subject=subject)
        return Item(name, str(number), question)

    return make


@pytest.fixture
def candidate() -> Callable[..., Candidate]:
    base = Candidate(Model(served="m", price_in=1.0), "exported", Sampling(temperature=0.7, max_tokens=64), 1)
    return lambda **changes: replace(base, **changes)
