"""The route that a question takes with its recipe's full plan and a judge for every path, computed from the script that
answers a run: what adaptive sampling and judging where needed must not change."""

from collections.abc import Mapping
from pathlib import Path

from services.contracts.base import CaseId, WorkId
from services.contracts.case import Case, Difficulty, Usage
from services.contracts.question import Question, Submission
from services.contracts.recipe import Recipe
from services.core import ids
from services.core.errors import Dead
from services.core.ledger.calls import Outcome, Reply, Request
from services.generator.handler import generate
from services.llm.fake import ScriptedModels
from services.llm.scripted import recorded_author
from services.llm.scripted.asks import Ask
from services.llm.scripted.script import Script
from services.local.audit.topic_counts import Topics
from services.router.admission import new_case
from services.router.routing_table import route
from services.verifier.handler import verify


class FullPlan:
    """The full plan's routes, by the script that answers a replay: the stages' own handlers, in memory."""

    def __init__(self, script: Script, questions: Mapping[CaseId, Question]) -> None:
        self._questions = questions
        self._models = ScriptedModels(lambda request: answer(script, request))

    @classmethod
    def of_recordings(cls, data: Path, *, seed: int) -> "FullPlan":
        """Of the recordings of a data folder, drawn by the server's seed. Raises OSError, ValueError."""
        questions, author = recorded_author.load(data, seed=seed)
        return cls(Script(questions, author, seed=seed), questions)

    async def difficulty(self, case_id: CaseId, recipe: Recipe) -> Difficulty | None:
        """The difficulty of a question; None where too many of its paths are unknown. Raises KeyError."""
        full = recipe.with_(sampling="full", judge="all")
        case = new_case(Submission(case_id=case_id, question=self._questions[case_id]), ids.recipe_id(full))
        for handle in (generate, verify):
            (emit,) = await handle(case, full, self._models)
            assert isinstance(emit.message, Case)
            case = emit.message
        self._models.asked.clear()
        try:
            routed = route(case, full.routing).message
        except Dead:
            return None
        assert isinstance(routed, Case)
        return routed.difficulty

    async def mismatches(self, seen: Topics) -> int:
        """The number of works whose difficulty is another."""
        return sum([await self._other(seen, work_id, found) for work_id, found in seen.difficulty.items()])

    async def _other(self, seen: Topics, work_id: WorkId, found: Difficulty) -> bool:
        case_id, recipe_id = seen.case_of[work_id]
        recipe = seen.recipes.get(recipe_id)
        return recipe is None or await self.difficulty(case_id, recipe) != found


def answer(script: Script, request: Request) -> Outcome:
    """What the scripted server replies to this request."""
    said = script.reply(asked(request))
    return Reply(said.text, said.finish, Usage())


def asked(request: Request) -> Ask:
    """The request as the scripted server reads it."""
    return Ask(
        stage=request.stage,
        case_id=request.case_id,
        prompt=request.prompt,
        seed=request.seed,
        max_tokens=request.sampling.max_tokens,
        schema=request.schema,
    )
