"""Aliases of the current recipe that have no endpoint: said before their first call."""

import asyncio
import os
import subprocess
import sys

import pytest

from services.contracts.codec import canonical, encode
from services.contracts.recipe import Recipe
from services.core import ids
from services.core.messages import ConsumedRecord
from services.llm.check import aliases
from services.protogen.examples import RECIPE
from services.worker.recipes import Recipes
from services.worker.stage import name_missing_endpoints
from tests.unit.llm.world import World, cancelled, settled

LOGGED = "aliases of the current recipe have no endpoint"


def judged_by(alias: str) -> Recipe:
    """A recipe whose verifier asks this alias; its other stages keep the aliases of the example."""
    models = RECIPE.models | {alias: RECIPE.models[RECIPE.verify.alias]}
    return RECIPE.with_(models=models, verify=RECIPE.verify.with_(alias=alias), score=None)


async def publish(recipes: Recipes, recipe: Recipe) -> None:
    key = ids.recipe_id(recipe)
    told = [(key, encode(recipe)), ("current", canonical(key))]

    async def records():
        for name, value in told:
            yield ConsumedRecord("recipes", 0, 0, name.encode(), value, {})

    await recipes.follow(records())
    await settled()


@pytest.mark.parametrize(
    ("stages", "expected"),
    [(("verify", "score"), {"unheard-of"}), (("summarize",), {RECIPE.summarize.alias}), ((), set())],
)
def test_a_stage_asks_its_own_aliases(stages, expected):
    assert aliases(judged_by("unheard-of"), stages) == expected


def test_a_missing_endpoint_is_said_from_the_start_and_until_a_recipe_does_without(living, capsys):
    async def story(world: World) -> None:
        recipes = Recipes()
        async with world.dispatcher() as models:
            watching = asyncio.create_task(name_missing_endpoints(recipes, ["verify", "score"], models))
            await publish(recipes, judged_by("unheard-of"))
            assert models.status() == {}, "the topic has not been read to its end"

            recipes.caught_up.set()
            await asyncio.sleep(100)
            down = models.status()["unheard-of"]
            assert (down.reason, round(down.for_s)) == ("unreachable", 100)
            assert "unheard-of: add one to REASONMED_MODELS" in down.why
            assert list(models.status()) == ["unheard-of"], "other stages' aliases are not this worker's"

            await publish(recipes, judged_by("judge"))
            assert models.status() == {}
            await cancelled(watching)

    living(story)
    assert capsys.readouterr().out.count(LOGGED) == 1


def test_a_recipe_whose_aliases_have_endpoints_says_nothing(living, capsys):
    async def story(world: World) -> None:
        recipes = Recipes()
        recipes.caught_up.set()
        async with world.dispatcher() as models:
            watching = asyncio.create_task(name_missing_endpoints(recipes, ["verify"], models))
            await publish(recipes, judged_by("judge"))
            assert models.status() == {}
            await cancelled(watching)

    living(story)
    assert LOGGED not in capsys.readouterr().out


def test_without_any_endpoint_a_worker_ends_at_once_and_names_the_setting(tmp_path):
    env = {name: value for name, value in os.environ.items() if not name.startswith("REASONMED_")}
    command = [sys.executable, "-m", "services.verifier"]
    ended = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.startswith("verifier: REASONMED_MODELS is empty")
