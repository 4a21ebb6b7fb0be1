"""Rates each record of a sample, in each of its three published forms."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.core import ids
from services.core.case import prompts
from services.core.case.asking import Reading, ask_until_read
from services.core.ledger.calls import Request
from services.core.models import Models
from services.evaluator.evaluation import Evaluation
from services.evaluator.replies import SCHEMA, Rated, rated
from services.evaluator.sample import Item

VARIANTS: dict[str, Callable[[Item], str]] = {
    "CoTMed": lambda item: item.chain,
    "ResponseMed": lambda item: item.summary,
    "ReasonMed": lambda item: f"{item.chain}\n\n{item.summary}",
}
"""The paper's three datasets of the same rows: the chain of thought, the summary, and both in this order."""


@dataclass(frozen=True)
class Judgement:
    """The rating of a record in one variant, or the reason why there is none."""

    item: Item
    variant: str
    reading: Reading[Rated]


async def evaluate(
    items: Sequence[Item],
    evaluation: Evaluation,
    models: Models,
    *,
    at_once: int,
    on_done: Callable[[], None] = lambda: None,
) -> list[Judgement]:
    """Rate every variant of every record, `at_once` records at a time; in the order of the records and VARIANTS.
    `on_done` is called after each record."""
    room = asyncio.Semaphore(at_once)

    async def one(item: Item) -> list[Judgement]:
        async with room:
            done = await _evaluate(item, evaluation, models)
        on_done()
        return done

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(item)) for item in items]
    return [judgement for task in tasks for judgement in task.result()]


async def _evaluate(item: Item, evaluation: Evaluation, models: Models) -> list[Judgement]:
    requests = [_request(item, variant, evaluation) for variant in VARIANTS]
    readings = await ask_until_read(models, requests, rated, evaluation.max_asks)
    return [Judgement(item, variant, reading) for variant, reading in zip(VARIANTS, readings, strict=True)]


def _request(item: Item, variant: str, evaluation: Evaluation) -> Request:
    """The same record in the same variant is the same call, whichever sample it is in."""
    question = prompts.question_block(item.question)
    text = VARIANTS[variant](item)
    return Request(
        case_id=item.case_id,
        stage="evaluate",
        alias=evaluation.alias,
        model=evaluation.model,
        prompt=prompts.render(evaluation.prompt, question=question, gold=prompts.gold(item.question), path=text),
        sampling=evaluation.sampling,
        seed=ids.seed(item.case_id, "evaluate", variant, 0, item.index),
        schema=SCHEMA,
    )
