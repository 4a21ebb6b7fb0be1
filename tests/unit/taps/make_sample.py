"""Writes docs/analyses-sample.jsonl.gz: what `reasonmed tap` would print of a small stream of our own.

    python -m tests.unit.taps.make_sample

The thirty sample questions under the default recipe, through every handler and the router's rule, in memory; the
models are those of the scripted server. Everything is seeded: the same code writes the same bytes.
"""

import asyncio
import gzip
import re
from collections.abc import Iterator
from pathlib import Path

from services.contracts.base import CaseId
from services.contracts.case import Case, Usage
from services.contracts.codec import decode, encode
from services.contracts.question import Question, Submission
from services.contracts.recipe import Recipe
from services.contracts.topics import (
    CASE_ACCEPTED,
    CASE_DIFFICULT,
    CASE_MEDIUM,
    CURRENT,
    PATHS_GENERATED,
    PATHS_VERIFIED,
    RECIPES,
)
from services.core import ids
from services.core.ledger.calls import Failure, Outcome, Reply, Request
from services.core.messages import ConsumedRecord, Emit, OutgoingRecord
from services.generator.handler import generate
from services.importers.rows import submissions
from services.llm.fake import ScriptedModels
from services.llm.scripted.asks import CHARACTERS_A_TOKEN, Ask, Author
from services.llm.scripted.script import Script
from services.llm.scripted.scripted_author import ScriptedAuthor
from services.llm.scripted.seeded import fraction
from services.recipes import load
from services.refiner.handler import reason_again, refine
from services.router.routing_table import route
from services.summarizer.handler import summarize
from services.taps.lines import line, rendered
from services.taps.tables import TOPICS
from services.verifier.handler import verify

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "docs/analyses-sample.jsonl.gz"

SEED = 1
CUT_OFF, FAILED = 0.03, 0.01
"""Shares of paths that are cut off, and whose call fails for good: some of each, so that every column is seen."""
DISPUTED = ("sample:004", "sample:017")
"""Questions on which every planned path states the same wrong answer."""
PRICES = {"qwen": (0.35, 0.40), "deepseek": (0.70, 0.90), "huatuo": (0.60, 0.80)}
"""USD a million tokens, made up."""
BEGAN_MS, STEP_MS = 1_767_225_600_000, 1_500
"""2026-01-01T00:00Z, and a message each one and a half seconds."""
PARTITIONS = 3


class Stubborn:
    """An author who can't be talked out of one wrong answer to the disputed questions."""

    def __init__(self, author: Author, questions: dict[CaseId, Question]) -> None:
        self._author = author
        self._letters = {
            case_id: next(letter for letter in question.options if letter != question.answer)
            for case_id, question in questions.items()
            if question.id in DISPUTED
        }

    def write(self, ask: Ask) -> str:
        text = self._author.write(ask)
        letter = self._letters.get(ask.case_id) if ask.stage == "generate" else None
        return text if letter is None else re.sub(r"Final answer: \w", f"Final answer: {letter}", text)

    def holds(self, ask: Ask, path: str) -> bool:
        return self._author.holds(ask, path)


def models(questions: dict[CaseId, Question]) -> ScriptedModels:
    script = Script(questions, Stubborn(ScriptedAuthor(questions, seed=SEED), questions), seed=SEED)

    def answer(request: Request) -> Outcome:
        luck = fraction(SEED, "luck", request.call_id) if request.stage == "generate" else 1.0
        if luck < FAILED:
            return Failure("timed out after 3 attempts")
        max_tokens = request.sampling.max_tokens
        ask = Ask(request.stage, request.case_id, request.prompt, request.seed, max_tokens, request.schema)
        said = script.reply(ask, "cut" if luck < FAILED + CUT_OFF else None)
        tokens = [len(text) // CHARACTERS_A_TOKEN for text in (request.prompt, said.text)]
        return Reply(said.text, said.finish, Usage(prompt=tokens[0], completion=tokens[1]))

    return ScriptedModels(answer)


async def stream(questions: dict[CaseId, Question], recipe: Recipe) -> list[Emit]:
    """Every message after admission, as the services would write them."""
    recipe_id, cast = ids.recipe_id(recipe), models(questions)
    written: list[Emit] = []
    for case_id, question in questions.items():
        work_id = ids.work_id(case_id, recipe_id)
        new = Case(case_id=case_id, work_id=work_id, recipe_id=recipe_id, question=question)
        arrived = await generate(new, recipe, cast)
        while arrived:
            emit = arrived.pop(0)
            written.append(emit)
            if isinstance(emit.message, Case):
                arrived += await handled(emit.topic, emit.message, recipe, cast)
    return written


async def handled(topic: str, case: Case, recipe: Recipe, cast: ScriptedModels) -> list[Emit]:
    if topic == PATHS_VERIFIED:
        return [route(case, recipe.routing)]
    next_stage = {
        PATHS_GENERATED: verify,
        CASE_MEDIUM: refine,
        CASE_DIFFICULT: reason_again,
        CASE_ACCEPTED: summarize,
    }.get(topic)
    return [] if next_stage is None else await next_stage(case, recipe, cast)


def received(emits: list[Emit], recipe: Recipe) -> Iterator[ConsumedRecord]:
    """Of these the messages that taps read, placed as Kafka would."""
    recipe_id = ids.recipe_id(recipe)
    placed = [
        (RECIPES, recipe_id.encode(), encode(recipe)),
        (RECIPES, CURRENT.encode(), f'"{recipe_id}"'.encode()),
        *((emit.topic, emit.key.encode(), encode(emit.message)) for emit in emits if emit.topic in TOPICS),
    ]
    ends: dict[tuple[str, int], int] = {}
    for number, (topic, key, value) in enumerate(placed):
        partition = 0 if topic == RECIPES else int(key[-8:], 16) % PARTITIONS
        offset = ends.setdefault((topic, partition), 0)
        ends[topic, partition] += 1
        yield ConsumedRecord(topic, partition, offset, key, value, {}, BEGAN_MS + number * STEP_MS)


def main() -> None:
    """Write the sample."""
    rows = (ROOT / "services/local/samples/questions.jsonl").read_bytes().splitlines()
    handed_in = [decode(Submission, row.value) for row in submissions(rows) if isinstance(row, OutgoingRecord)]
    questions = {each.case_id: each.question for each in handed_in}
    recipe = load("default")
    priced = {
        alias: model.with_(price_in=PRICES[alias][0], price_out=PRICES[alias][1])
        for alias, model in recipe.models.items()
    }
    recipe = recipe.with_(models=priced)
    emits = asyncio.run(stream(questions, recipe))
    text = b"".join(rendered(line(message)) for message in received(emits, recipe))
    SAMPLE.write_bytes(gzip.compress(text, 9, mtime=0))


if __name__ == "__main__":
    main()
