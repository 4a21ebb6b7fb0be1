"""The recipe: everything that decides a result, as one frozen value."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from services.contracts.base import Message, Value, Version

Alias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$", description="A name in `models`.")]
Prompt = Annotated[str, Field(min_length=1, max_length=50_000, description="The template's text itself.")]
Temperature = Annotated[float, Field(ge=0, le=2, description="Sampling temperature.")]
TopP = Annotated[float, Field(gt=0, le=1, description="Nucleus sampling: the share of probability drawn from.")]
MaxTokens = Annotated[
    int, Field(ge=1, le=131_072, description="Most tokens of a reply; a longer one is cut off and in error.")
]


Parameter = Literal["temperature", "top_p", "max_tokens", "seed"]
"""A sampling parameter of a request."""


def _absent(value: object) -> bool:
    return value is None


System = Annotated[Prompt | None, Field(exclude_if=_absent, description="The system message; none: none is sent.")]


class Model(Value):
    """A model behind an alias, and how its requests differ from the usual ones. Where it is served, and with what key,
    is a setting of the deployment, not of the recipe.

    A field that is None is left out of messages and digests: a recipe that uses none of them keeps its id.
    """

    served: str = Field(min_length=1, description="The name that the server knows.")
    revision: str = Field(default="", description="Revision of the weights; part of every call's id.")
    context_tokens: int = Field(default=32_768, ge=256, description="Tokens of prompt and completion together.")
    price_in: float = Field(default=0.0, ge=0, description="USD a million prompt tokens.")
    price_out: float = Field(default=0.0, ge=0, description="USD a million completion tokens.")
    omit: tuple[Parameter, ...] | None = Field(
        default=None,
        exclude_if=_absent,
        description="Parameters that the server refuses: never sent. max_tokens still bounds what is read.",
    )
    max_tokens_as: Literal["max_tokens", "max_completion_tokens"] | None = Field(
        default=None, exclude_if=_absent, description="The name under which max_tokens is sent; none: max_tokens."
    )
    response_format: Literal["json_schema", "json_object", "none"] | None = Field(
        default=None,
        exclude_if=_absent,
        description="How JSON is asked for where a stage wants it; none (null): json_schema.",
    )
    extra_body: dict[str, Any] | None = Field(
        default=None,
        exclude_if=_absent,
        description="Further fields of the request's body: reasoning_effort, stop, top_k, chat_template_kwargs, ...",
    )
    thinking: tuple[str, str] | None = Field(
        default=None,
        exclude_if=_absent,
        description="The marks before and after the model's thinking, where they are none of the usual ones.",
    )


class Sampling(Value):
    """How a reply is drawn."""

    temperature: Temperature
    top_p: TopP = 1.0
    max_tokens: MaxTokens


class Slot(Value):
    """One planned path."""

    alias: Alias
    temperature: Temperature


class Generation(Value):
    """The plan of a question's first paths: one call a slot."""

    prompt: Prompt
    plan: tuple[Slot, ...] = Field(min_length=1, max_length=64, description="One call, and one path, for each.")
    top_p: TopP = 0.9
    max_tokens: MaxTokens = 8_192
    system: System = None


class Task(Value):
    """One kind of call."""

    alias: Alias
    prompt: Prompt
    sampling: Sampling = Field(description="How its replies are drawn.")
    system: System = None


class Routing(Value):
    """The router's thresholds, in paths of the plan found correct. Source of the defaults: the paper's 0–4, 5–7 and
    8–9 errors of nine."""

    easy: int = Field(default=5, ge=1, description="At least so many correct: easy.")
    medium: int = Field(default=2, ge=1, description="At least so many correct, fewer than easy: medium.")
    keep: int = Field(default=2, ge=1, description="Records a case, at most.")
    strong_paths: int = Field(default=2, ge=1, description="Paths that the strong model writes in a round.")
    rounds: int = Field(default=2, ge=1, description="Rounds of the strong model before a case is given up.")
    max_unknown: int = Field(default=2, ge=0, description="More unknown paths than this: no route can be told.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.medium > self.easy:
            raise ValueError("medium must not exceed easy")
        return self


class Recipe(Message):
    """All that decides a result: prompts, models and revisions, sampling, plan, thresholds, rounds, prices.

    Its id is the digest of the whole value. Published in the topic `recipes`, and never changed.
    """

    version: Version = Field(default="1.0")
    # Part of the id: a recipe file keeps its id when the contract gets a new minor version.

    name: str = Field(min_length=1, max_length=100, description="For people; the id tells recipes apart.")
    models: dict[Alias, Model] = Field(min_length=1, description="Every model in use, by alias.")
    generate: Generation = Field(description="The plan's chains of thought, written without the gold answer.")
    verify: Task = Field(description="Judging a path against the gold answer.")
    score: Task | None = Field(
        default=None,
        description="Scoring a correct path; none: one call gives verdict and score (a cheaper choice).",
    )
    refine: Task = Field(description="Rewriting the best paths of a medium case.")
    reason: Task = Field(description="Reasoning a difficult case anew, with the strong model.")
    summarize: Task = Field(description="Condensing a kept path, without the gold answer.")
    routing: Routing = Field(default=Routing(), description="The router's thresholds.")
    max_asks: int = Field(
        default=3, ge=1, le=20, description="A reply that can't be read is asked for anew, so many asks in all."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        tasks = (self.verify, self.score, self.refine, self.reason, self.summarize)
        used = {slot.alias for slot in self.generate.plan} | {task.alias for task in tasks if task is not None}
        if missing := sorted(used - set(self.models)):
            raise ValueError(f"no model is given for alias {', '.join(missing)}")
        if self.routing.easy > len(self.generate.plan):
            raise ValueError("routing.easy exceeds the number of planned paths: no case could ever be easy")
        return self
