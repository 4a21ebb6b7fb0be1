"""What decides an evaluation: a value in a YAML file of its own.

Not a part of the recipe: a recipe's id is the digest of all that decides a record, and is stamped on every case. An
evaluation decides no record; another evaluator must not make a new recipe, under which questions count as new work.
"""

from pathlib import Path

from pydantic import Field

from services import recipes
from services.contracts.base import Value
from services.contracts.recipe import Alias, Model, Prompt, Sampling
from services.recipes.check import prompt_problems

DEFAULT = Path(__file__).parent / "default.yaml"
"""The one that ships: the paper's figures."""


class Evaluation(Value):
    """Which model rates, by which prompt, how."""

    name: str = Field(min_length=1, max_length=100, description="For people.")
    alias: Alias = Field(description="The deployment's name of the model: where it is served is its matter.")
    model: Model
    prompt: Prompt
    sampling: Sampling
    max_asks: int = Field(default=3, ge=1, le=20, description="Asks in all for a reply that can be read.")


def load(path: Path = DEFAULT) -> Evaluation:
    """The evaluation in a file. Raises recipes.BadRecipe."""
    evaluation = recipes.read(path, Evaluation)
    if wrong := list(prompt_problems("evaluate", evaluation.prompt)):
        raise recipes.BadRecipe(f"{path}: {'; '.join(wrong)}")
    return evaluation
