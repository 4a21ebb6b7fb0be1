"""Asks a model questions with known answers, several samples each."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from services.contracts.question import Question
from services.contracts.recipe import Model, Sampling
from services.core import ids
from services.core.case.answers import stated
from services.core.case.chat import chat_prompt
from services.core.ledger.calls import Answer, Reply, Request
from services.core.models import Models

ALIAS = "benchmark"
"""The alias of the model, for REASONMED_MODELS; not part of a call's id."""

Prompt = Literal["exported", "instructed"]
"""exported: the messages that `export --form prompt-completion` writes, for models trained on them. instructed: the
same after a system message that asks for the final line, for all others."""

INSTRUCTIONS = (
    "Answer the multiple-choice question. Think step by step. End with one line that states the letter of one option, "
    "in this form:\nFinal answer: X"
)


@dataclass(frozen=True)
class Item:
    """A question of a benchmark set."""

    set: str
    """Its source, else its file's name."""
    id: str
    """The source's, else its line in the file."""
    question: Question

    @property
    def subject(self) -> str:
        """Empty if the source gives none."""
        return self.question.subject or ""


@dataclass(frozen=True)
class Candidate:
    """The model, and how it is asked."""

    model: Model
    prompt: Prompt
    sampling: Sampling
    samples: int
    """Per question, each with its own seed."""


@dataclass(frozen=True)
class Answered:
    """A question with all its answers."""

    item: Item
    answers: tuple[Answer, ...]

    @property
    def letters(self) -> tuple[str | None, ...]:
        """The letter that each answer states; None: none, or the call failed."""
        return tuple(
            stated(one.outcome.text, self.item.question) if isinstance(one.outcome, Reply) else None
            for one in self.answers
        )

    @property
    def right(self) -> int:
        """The answers that state the gold letter."""
        return sum(letter == self.item.question.answer for letter in self.letters)


def messages(question: Question, prompt: Prompt) -> list[dict[str, str]]:
    """The messages before the model's turn, by the function that renders exports."""
    match prompt:
        case "exported":
            return chat_prompt(question)
        case "instructed":
            return chat_prompt(question, system=INSTRUCTIONS)
        case _:
            assert_never(prompt)


def request(question: Question, candidate: Candidate, sample: int) -> Request:
    """The call of one sample. The seed depends on the question and the sample alone: more samples add calls, and change
    none."""
    *system, user = messages(question, candidate.prompt)
    case_id = ids.case_id(question)
    return Request(
        case_id=case_id,
        stage="benchmark",
        alias=ALIAS,
        model=candidate.model,
        prompt=user["content"],
        sampling=candidate.sampling,
        seed=ids.seed(case_id, "benchmark", "", 0, sample),
        system=system[0]["content"] if system else None,
    )


async def ask(
    items: Sequence[Item],
    candidate: Candidate,
    models: Models,
    *,
    at_once: int,
    on_done: Callable[[], None] = lambda: None,
) -> list[Answered]:
    """Ask all samples of every question, `at_once` questions at a time; in order. `on_done` is called after each
    question."""
    room = asyncio.Semaphore(at_once)

    async def one(item: Item) -> Answered:
        async with room:
            requests = [request(item.question, candidate, sample) for sample in range(candidate.samples)]
            answers = await models.ask(requests)
        on_done()
        return Answered(item, tuple(answers))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(item)) for item in items]
    return [task.result() for task in tasks]
