"""The configuration of an evaluation, in its own YAML file.

It is not part of the recipe. A recipe's id is the digest of everything that determines a record; with a new recipe all
questions count as new work. Changing the evaluator must not do that.
"""

from pathlib import Path

from pydantic import Field

from services import recipes
from services.contracts.base import Value
from services.contracts.recipe import Alias, Model, Prompt, Sampling
from services.recipes.check import prompt_problems

DEFAULT = Path(__file__).parent / "default.yaml"
"""The shipped evaluation, with the paper's figures."""


class Evaluation(Value):
    """The model that rates, its prompt and its parameters."""

    name: str = Field(min_length=1, max_length=100, description="For people.")
    alias: Alias = Field(description="The alias of the model; the deployment maps it to a server.")
    model: Model
    prompt: Prompt
    sampling: Sampling
    max_asks: int = Field(default=3, ge=1, le=20, description="The most requests until a reply can be parsed.")


def load(path: Path = DEFAULT) -> Evaluation:
    """Load the evaluation in a file. Raises recipes.BadRecipe."""
    evaluation = recipes.read(path, Evaluation)
    if wrong := list(prompt_problems("evaluate", evaluation.prompt)):
        raise recipes.BadRecipe(f"{path}: {'; '.join(wrong)}")
    return evaluation
