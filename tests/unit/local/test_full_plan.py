"""The full plan's route, from the script: what adaptive sampling and judging where needed are held against."""

from services.core import ids
from services.llm.scripted import texts
from services.llm.scripted.asks import Ask
from services.llm.scripted.script import Script
from services.local.audit.full_plan import FullPlan
from services.local.audit.topic_counts import Topics
from services.recipes import load
from tests.strategies import QUESTION

RECIPE = load("default")
CASE_ID = ids.case_id(QUESTION)


class OneLetter:
    """Writes paths that all state one letter; never wrong about which are right."""

    def __init__(self, letter: str) -> None:
        self.letter = letter

    def write(self, ask: Ask) -> str:
        return texts.plain_path(self.letter, (ask.seed,))

    def holds(self, ask: Ask, path: str) -> bool:
        return self.letter == QUESTION.answer


def plan(letter: str) -> FullPlan:
    questions = {CASE_ID: QUESTION}
    return FullPlan(Script(questions, OneLetter(letter), seed=1), questions)


async def test_it_is_the_route_of_all_paths_and_all_verdicts_whatever_the_recipe_spares() -> None:
    fewer = RECIPE.with_(sampling="adaptive", judge="needed")
    for recipe in (RECIPE, fewer):
        assert await plan(QUESTION.answer).difficulty(CASE_ID, recipe) == "easy"
        assert await plan("D").difficulty(CASE_ID, recipe) == "difficult"


async def test_a_work_with_another_difficulty_and_one_of_an_unknown_recipe_are_mismatches() -> None:
    seen, recipe_id = Topics(), ids.recipe_id(RECIPE)
    work_id = ids.work_id(CASE_ID, recipe_id)
    seen.case_of[work_id] = CASE_ID, recipe_id
    seen.difficulty[work_id] = "easy"
    assert await plan(QUESTION.answer).mismatches(seen) == 1
    seen.recipes[recipe_id] = RECIPE
    assert await plan(QUESTION.answer).mismatches(seen) == 0
    assert await plan("D").mismatches(seen) == 1
