"""The recipe: everything that determines a result, as one frozen value."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from services.contracts.base import Message, Value, Version

Alias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$", description="A name in `models`.")]
Prompt = Annotated[str, Field(min_length=1, max_length=50_000, description="The text of the template.")]
Temperature = Annotated[float, Field(ge=0, le=2, description="Sampling temperature.")]
TopP = Annotated[float, Field(gt=0, le=1, description="Nucleus sampling: the share of probability drawn from.")]
MaxTokens = Annotated[
    int,
    Field(ge=1, le=131_072, description="Most tokens of a reply; a longer reply is truncated and counts as an error."),
]


Parameter = Literal["temperature", "top_p", "max_tokens", "seed"]
"""A sampling parameter of a request."""


def _absent(value: object) -> bool:
    return value is None


System = Annotated[Prompt | None, Field(exclude_if=_absent, description="The system message; null: none is sent.")]


class Model(Value):
    """A model behind an alias, and how its requests differ from the default. Its address and key are settings of the
    deployment, not of the recipe.

    A field that is None is left out of messages and digests, so a recipe without these fields keeps its id.
    """

    served: str = Field(min_length=1, description="The model name on the server.")
    revision: str = Field(default="", description="Revision of the weights; part of every call's id.")
    context_tokens: int = Field(default=32_768, ge=256, description="Tokens of prompt and completion together.")
    price_in: float = Field(default=0.0, ge=0, description="USD per million prompt tokens.")
    price_out: float = Field(default=0.0, ge=0, description="USD per million completion tokens.")
    omit: tuple[Parameter, ...] | None = Field(
        default=None,
        exclude_if=_absent,
        description="Parameters that the server rejects; never sent. max_tokens still limits the reply that is read.",
    )
    max_tokens_as: Literal["max_tokens", "max_completion_tokens"] | None = Field(
        default=None, exclude_if=_absent, description="The parameter name for max_tokens; null: max_tokens."
    )
    response_format: Literal["json_schema", "json_object", "none"] | None = Field(
        default=None,
        exclude_if=_absent,
        description="How a stage requests JSON replies; null: json_schema.",
    )
    extra_body: dict[str, Any] | None = Field(
        default=None,
        exclude_if=_absent,
        description="Further fields of the request body: reasoning_effort, stop, top_k, chat_template_kwargs, ...",
    )
    thinking: tuple[str, str] | None = Field(
        default=None,
        exclude_if=_absent,
        description="The markers before and after the model's thinking, if they are not among the usual ones.",
    )


class Sampling(Value):
    """Sampling parameters of a reply."""

    temperature: Temperature
    top_p: TopP = 1.0
    max_tokens: MaxTokens


class Slot(Value):
    """One planned path."""

    alias: Alias
    temperature: Temperature


class Generation(Value):
    """The plan of a question's first paths: one call per slot."""

    prompt: Prompt
    plan: tuple[Slot, ...] = Field(min_length=1, max_length=64, description="One call, and one path, per slot.")
    top_p: TopP = 0.9
    max_tokens: MaxTokens = 8_192
    system: System = None


class Task(Value):
    """One kind of call."""

    alias: Alias
    prompt: Prompt
    sampling: Sampling = Field(description="Sampling parameters of its replies.")
    system: System = None


class Routing(Value):
    """The router's thresholds, in correct paths of the plan. The defaults come from the paper: 0–4, 5–7 and 8–9 errors
    of nine."""

    easy: int = Field(default=5, ge=1, description="Fewest correct paths of an easy case.")
    medium: int = Field(default=2, ge=1, description="Fewest correct paths of a medium case.")
    keep: int = Field(default=2, ge=1, description="Most records per case.")
    strong_paths: int = Field(default=2, ge=1, description="Paths that the strong model writes per round.")
    rounds: int = Field(default=2, ge=1, description="Rounds of the strong model before a case is rejected.")
    max_unknown: int = Field(default=2, ge=0, description="Most unknown paths; with more, no route can be chosen.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.medium > self.easy:
            raise ValueError("medium must not exceed easy")
        return self


class Recipe(Message):
    """Everything that determines a result: prompts, models and revisions, sampling, plan, thresholds, rounds, prices.

    Its id is the digest of the whole value. It is published in the topic `recipes` and immutable.
    """

    version: Version = Field(default="1.0")
    # Part of the id: a recipe file keeps its id when the contract gets a new minor version.

    name: str = Field(min_length=1, max_length=100, description="A name for people; the id identifies the recipe.")
    models: dict[Alias, Model] = Field(min_length=1, description="All models in use, by alias.")
    sampling: Literal["full", "adaptive"] = Field(
        default="full",
        exclude_if=lambda value: value == "full",
        description="full: all paths of the plan at once, as in the paper. adaptive: each time the fewest that could "
        "decide the route.",
    )
    generate: Generation = Field(description="The plan's chains of thought, written without the gold answer.")
    verify: Task = Field(description="Judging a path against the gold answer.")
    verdict: Literal["steps"] | None = Field(
        default=None,
        exclude_if=_absent,
        description="steps: the judge also names each step in error, in the same call; its prompt has {steps} in place "
        "of {path}. Null: a verdict on the whole path.",
    )
    judge: Literal["all", "needed"] = Field(
        default="all",
        exclude_if=lambda value: value == "all",
        description="all: every path gets the judge's verdict and every correct one a score, as in the paper. needed: "
        "only where a verdict, its reason or a score can matter; routes and kept paths stay the same.",
    )
    audit: float | None = Field(
        default=None,
        ge=0,
        le=1,
        exclude_if=_absent,
        description="With judge: needed, the seeded share of paths that are judged all the same, to see how often "
        "judge and stated answer disagree; null: 0.05.",
    )
    score: Task | None = Field(
        default=None,
        description="Scoring a correct path; null: one call returns verdict and score, which is cheaper.",
    )
    refine: Task = Field(description="Rewriting the best paths of a medium case.")
    reason: Task = Field(description="Solving a difficult case from scratch with the strong model.")
    summarize: Task = Field(description="Condensing a kept path, without the gold answer.")
    routing: Routing = Field(default=Routing(), description="The router's thresholds.")
    max_asks: int = Field(
        default=3, ge=1, le=20, description="Most asks per reply: an unreadable reply is asked again."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        tasks = (self.verify, self.score, self.refine, self.reason, self.summarize)
        used = {slot.alias for slot in self.generate.plan} | {task.alias for task in tasks if task is not None}
        if missing := sorted(used - set(self.models)):
            raise ValueError(f"no model is defined for alias {', '.join(missing)}")
        if self.routing.easy > len(self.generate.plan):
            raise ValueError("routing.easy exceeds the number of planned paths: no case could ever be easy")
        return self
