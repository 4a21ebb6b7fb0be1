"""The demo: sample questions through every service, on a small real model and on a scripted server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.contracts.recipe import Recipe
from services.core.messages import OutgoingRecord
from services.importers.rows import Rejected, submissions
from services.local.audit.full_plan import FullPlan
from services.local.processes.folders import emptied
from services.local.run import Result, Show, run
from services.local.servers import model_server as serving
from services.local.stack import Plan, Say, running

SAMPLES = Path(__file__).with_name("samples") / "questions.jsonl"
"""The thirty sample questions."""

REAL_QUESTIONS = 3
REAL_DEADLINE_S = 300.0
"""Seconds from the submission. Measured on two shared cores: 98 to 175."""
SCRIPTED_DEADLINE_S = 120.0
"""Seconds from the submission. Measured on two shared cores: 6 to 7."""


@dataclass(frozen=True)
class Part:
    """A run with its own folder, Kafka and ledger."""

    title: str
    folder: Path
    recipe: Recipe
    model: serving.Choice
    questions: Sequence[OutgoingRecord]
    deadline_s: float
    """Seconds from the submission."""
    workers: int = 1
    """Processes of each stage that calls models."""
    full_plan: FullPlan | None = None
    """To check each route against."""


def real(folder: Path, recipe: Recipe, model: serving.Choice) -> Part:
    """The shortest questions: this machine's CPU computes every token."""
    shortest = sorted(_samples(), key=lambda question: len(question.value))[:REAL_QUESTIONS]
    served = ", ".join(sorted({one.served for one in recipe.models.values()}))
    return Part(f"real model ({served})", folder / "real", recipe, model, shortest, REAL_DEADLINE_S)


def scripted(folder: Path, recipe: Recipe) -> Part:
    """All questions on a scripted server that takes every route, without a model."""
    title = "SCRIPTED answers, no model"
    named = serving.scripted_recipe(recipe)
    return Part(title, folder / "scripted", named, serving.Scripted(), _samples(), SCRIPTED_DEADLINE_S)


async def perform(part: Part, env: Mapping[str, str], *, show: Show, say: Say) -> Result:
    """Run one part, from an empty folder to its summary.json. Raises the errors of `running` and `run`."""
    folder = emptied(part.folder)
    plan = Plan(folder=folder, recipe=part.recipe, model=part.model, workers=part.workers, env=env)
    async with running(plan, say=say) as stack:
        return await run(
            stack, part.questions, deadline_s=part.deadline_s, full_plan=part.full_plan, show=show, say=say
        )


def served_as(recipe: Recipe, model: str) -> Recipe:
    """The same recipe with this model for every alias: one server serves them all."""
    return recipe.with_(models={alias: one.with_(served=model) for alias, one in recipe.models.items()})


def _samples() -> list[OutgoingRecord]:
    rows = list(submissions(SAMPLES.read_bytes().splitlines()))
    return [row for row in rows if not isinstance(row, Rejected)]
