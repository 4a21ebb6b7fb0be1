"""`reasonmed recipes new`: a folder that loads as it is written."""

from pathlib import Path

import pytest

from services import recipes
from services.recipes import BadRecipe
from services.recipes.new import write


@pytest.mark.parametrize("source", ["default", "demo", "paper"])
def test_a_new_recipe_loads_and_is_the_shipped_one_but_for_its_name(tmp_path: Path, source: str) -> None:
    file = write(tmp_path / "my-recipe", source)
    made = recipes.load(file)
    assert made.name == "my-recipe"
    assert recipes.load(file.parent) == made
    assert made.with_(name=source) == recipes.load(source)
    text = file.read_text()
    assert "# Judging a path against the gold answer." in text
    assert "# Its prompt needs {gold} {path} {question}." in text
    assert {each.suffix for each in (file.parent / "prompts").iterdir()} == {".md"}


def test_nothing_is_overwritten_and_mistakes_are_named(tmp_path: Path) -> None:
    write(tmp_path / "mine")
    with pytest.raises(BadRecipe, match="is there already"):
        write(tmp_path / "mine")
    with pytest.raises(BadRecipe, match="default, demo, paper"):
        write(tmp_path / "other", "defualt")
    with pytest.raises(BadRecipe, match="a name has"):
        write(tmp_path / "my recipe")
