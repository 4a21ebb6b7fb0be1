"""Recipe files: YAML whose prompts are paths of Markdown files, relative to the YAML file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from services.contracts.base import Value
from services.contracts.codec import explain
from services.contracts.recipe import Recipe
from services.recipes.check import filled, problems, suggestion

V = TypeVar("V", bound=Value)

FOLDER = Path(__file__).parent
"""The recipes that ship: default.yaml (the paper's figures, open weights), paper.yaml (the same with o1-mini for
difficult cases, as in the paper) and demo.yaml (short answers of one small model)."""


class BadRecipe(ValueError):
    """The file is not a recipe (or an evaluation); the text names the field and the reason."""


def load(source: str | Path) -> Recipe:
    """Load the recipe in a file (or a folder from `recipes new`), or the shipped recipe of that name. Raises BadRecipe,
    also for failed checks (check.py)."""
    path = FOLDER / f"{source}.yaml" if str(source).isidentifier() else Path(source)
    recipe = read(path / "recipe.yaml" if path.is_dir() else path, Recipe)
    if wrong := problems(recipe):
        raise BadRecipe(f"{path}: {'; '.join(dict.fromkeys(wrong))}")
    return recipe


def read(path: Path, kind: type[V]) -> V:
    """Read a value of this kind from a file, with its prompts as texts. Raises BadRecipe."""
    try:
        data = filled(yaml.safe_load(path.read_text(encoding="utf-8")))
        found = kind.model_validate(_with_prompts(data, path.parent))
    except ValidationError as error:
        raise BadRecipe(f"{path}: {explain(error)}") from error
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadRecipe(f"{path}: {error}") from error
    if unknown := list(_unknown(found)):
        raise BadRecipe(f"{path}: unknown: {', '.join(unknown)}")
    return found


def _with_prompts(data: Any, folder: Path) -> Any:
    """The same data with each prompt path replaced by the text of the file."""
    if isinstance(data, dict):
        return {
            key: (folder / value).read_text(encoding="utf-8").strip()
            if key == "prompt" and isinstance(value, str)
            else _with_prompts(value, folder)
            for key, value in data.items()
        }
    return data


def _unknown(value: Any, where: str = "") -> Iterator[str]:
    """Unknown fields: in a message they belong to a later version, in a file they are misspelt."""
    if isinstance(value, Value):
        known = set(type(value).model_fields)
        yield from (f"{where}{name}{suggestion(name, known)}" for name in value.model_extra or {})
        for name in known:
            yield from _unknown(getattr(value, name), f"{where}{name}.")
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _unknown(part, f"{where}{name}.")
    elif isinstance(value, tuple):
        for place, part in enumerate(value):
            yield from _unknown(part, f"{where}{place}.")
