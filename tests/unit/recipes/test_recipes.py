"""Recipes as files: those that ship, and what is said of bad ones."""

import shutil
from pathlib import Path

import pytest
import yaml

from services.contracts.codec import decode, encode
from services.contracts.recipe import Recipe
from services.core import ids
from services.recipes import FOLDER, BadRecipe, load

SHIPPED = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def test_three_recipes_ship() -> None:
    assert SHIPPED == ["default", "demo", "paper"]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_loads_by_name_and_by_path_with_its_prompts_text(name: str) -> None:
    recipe = load(name)
    assert recipe == load(FOLDER / f"{name}.yaml")
    assert recipe.name == name
    tasks = [recipe.generate, recipe.verify, recipe.score, recipe.refine, recipe.reason, recipe.summarize]
    assert all(task is not None and "{question}" in task.prompt and ".md" not in task.prompt for task in tasks)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_keeps_its_id_through_the_topic(name: str) -> None:
    recipe = load(name)
    assert ids.recipe_id(decode(Recipe, encode(recipe))) == ids.recipe_id(recipe)


def test_the_default_is_the_papers_plan() -> None:
    recipe = load("default")
    by_alias: dict[str, list[float]] = {}
    for slot in recipe.generate.plan:
        by_alias.setdefault(slot.alias, []).append(slot.temperature)
    assert by_alias == {alias: [0.7, 0.9, 1.0] for alias in ("qwen", "deepseek", "huatuo")}
    routing = recipe.routing
    assert (routing.easy, routing.medium, routing.keep) == (5, 2, 2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The default recipe in a folder of its own, to be spoilt."""
    shutil.copytree(
        FOLDER.parent, tmp_path / "services", ignore=lambda _, names: [n for n in names if n.endswith(".py")]
    )
    return tmp_path / "services" / "recipes" / "default.yaml"


def test_a_recipe_may_stand_anywhere(file: Path) -> None:
    assert load(file) == load("default")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"generate": None}, "generate: "),
        ({"models": {}}, "models: "),
        ({"models": {"qwen": {"served": "x"}}}, "no model is defined for alias deepseek, huatuo"),
        ({"routing": {"easy": 10}}, "routing.easy exceeds the number of planned paths"),
        ({"routing": {"easy": 2, "medium": 3}}, "medium must not exceed easy"),
        ({"max_asks": 0}, "max_asks: "),
        ({"max_ask": 3}, "unknown: max_ask"),
        ({"routing": {"esay": 4}}, "unknown: routing.esay"),
        (
            {"models": {alias: {"served": "x", "price": 1} for alias in ("qwen", "deepseek", "huatuo")}},
            "models.qwen.price",
        ),
        ({"verify": {"alias": "qwen", "prompt": "missing.md", "sampling": {}}}, "missing.md"),
        ({"verify": {"alias": "qwen", "prompt": 7, "sampling": {}}}, "prompt"),
    ],
)
def test_an_error_names_file_and_field(file: Path, change: dict[str, object], said: str) -> None:
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **change}))
    with pytest.raises(BadRecipe) as raised:
        load(file)
    assert str(file) in str(raised.value)
    assert said in str(raised.value)


@pytest.mark.parametrize("content", [b"- a\n- list\n", b"text", b"", b"a: [", b"\xff\xfe", b"a: \x00"])
def test_a_file_without_a_recipe_is_reported(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(content)
    with pytest.raises(BadRecipe, match=r"bad\.yaml"):
        load(file)


def test_an_unknown_name_is_reported_with_the_searched_folder() -> None:
    with pytest.raises(BadRecipe, match=r"nosuch\.yaml"):
        load("nosuch")
