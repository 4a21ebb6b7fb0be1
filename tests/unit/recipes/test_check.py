"""What a recipe file must satisfy before it is published."""

from pathlib import Path
from typing import Any

import pytest

from services.contracts.recipe import Model, Recipe
from services.core import ids
from services.core.case import prompts
from services.recipes import BadRecipe, load
from services.recipes.check import PLACEHOLDERS, problems, prompt_problems


@pytest.mark.parametrize("name", ["default", "demo", "paper"])
def test_shipped_recipes_can_be_published(name: str) -> None:
    assert problems(load(name)) == []


@pytest.mark.parametrize(
    ("recipe", "recipe_id"),
    [
        ("default", "recipe-56e3560847692fbcc709b403e91be5f3"),
        ("demo", "recipe-1f71bef139258b1a04f956e7259101c4"),
    ],
)
def test_a_recipe_that_asks_for_nothing_special_keeps_its_id(recipe: str, recipe_id: str) -> None:
    """As of version 1.0 of the contract."""
    assert ids.recipe_id(load(recipe)) == recipe_id


@pytest.mark.parametrize(
    ("stage", "prompt", "said"),
    [
        ("generate", "{questoin}", "{questoin} is not a placeholder of this stage (did you mean question?)"),
        ("generate", "{question} {gold}", "{gold} is not a placeholder of this stage"),
        ("verify", "{question} {gold}", "verify.prompt: {path} is missing"),
        ("summarize", "{path} {gold}", "{gold} is not a placeholder"),
    ],
)
def test_a_prompt_that_does_not_fit_its_stage(stage: str, prompt: str, said: str) -> None:
    assert said in "; ".join(prompt_problems(stage, prompt))


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("{question} {gold} {path}", "verify.prompt: {path} is not a placeholder of this stage"),
        ("{question} {gold}", "verify.prompt: {steps} is missing"),
        ("{question} {gold} {steps}", ""),
    ],
)
def test_a_judge_of_steps_is_shown_the_steps(prompt: str, said: str) -> None:
    verify = load("default").verify.with_(prompt=prompt)
    assert said in "; ".join(problems(changed(verdict="steps", verify=verify)))
    assert bool(said) == bool(problems(changed(verdict="steps", verify=verify)))


def test_latex_and_json_in_a_prompt_are_no_placeholders() -> None:
    prompt = r'{question} Answer with \boxed{A}, \text{none} or {"answer": "A"}.'
    assert list(prompt_problems("generate", prompt)) == []


def test_every_placeholder_is_one_that_render_fills() -> None:
    for needed, optional in PLACEHOLDERS.values():
        for name in needed | optional:
            assert prompts.render(f"{{{name}}}", **{name: "x"}) == "x"


def changed(**fields: Any) -> Recipe:
    return load("default").with_(**fields)


def test_a_reply_that_leaves_no_room_for_a_prompt() -> None:
    recipe = load("default")
    small = {**recipe.models, "qwen": recipe.models["qwen"].with_(context_tokens=8_192)}
    assert any("max_tokens 8192 leaves no room" in each for each in problems(changed(models=small)))


@pytest.mark.parametrize("unknown", [7, 8, 9, 100])
def test_more_unknown_paths_than_a_route_can_bear(unknown: int) -> None:
    routing = load("default").routing.with_(max_unknown=unknown)
    assert any("routing.max_unknown" in each for each in problems(changed(routing=routing)))


def test_a_case_of_hundreds_of_paths() -> None:
    routing = load("default").routing.with_(rounds=64, strong_paths=3)
    assert any("a case could have 201 paths" in each for each in problems(changed(routing=routing)))


def test_extra_body_does_not_override_a_field_of_its_own() -> None:
    recipe = load("default")
    models = {**recipe.models, "qwen": recipe.models["qwen"].with_(extra_body={"temperature": 0, "top_k": 20})}
    assert problems(changed(models=models)) == [
        "models.qwen.extra_body.temperature: has a field of its own in the recipe; use that field"
    ]


def test_a_misspelt_field_is_refused_with_the_one_that_was_meant(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "services/recipes/default.yaml").read_text()
    file = tmp_path / "mine.yaml"
    folder = Path(__file__).parents[3] / "services"
    file.write_text(text.replace("../", f"{folder}/").replace("max_asks: 3", "max_aks: 3"))
    with pytest.raises(BadRecipe, match=r"max_aks \(did you mean max_asks\?\)"):
        load(file)


def test_the_papers_recipe_says_what_o1_mini_takes() -> None:
    recipe = load("paper")
    assert recipe.models["o1-mini"] == Model(
        served="o1-mini", context_tokens=128_000, omit=("temperature", "top_p"), max_tokens_as="max_completion_tokens"
    )
    assert recipe.reason.sampling.temperature == 1.0
