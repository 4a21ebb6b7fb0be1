"""The case: one message per question, with all of its parts."""

from typing import Literal, assert_never

from pydantic import Field

from services.contracts.base import CallId, CaseId, Message, PathId, RecipeId, Value, WorkId
from services.contracts.question import Letter, Question

Stage = Literal["generate", "verify", "score", "refine", "reason", "summarize"]
"""The purpose of a model call: `refine` rewrites a path of a medium case, `reason` solves a difficult case from
scratch."""

Difficulty = Literal["easy", "medium", "difficult"]
Origin = Literal["generated", "refined", "regenerated"]
FinishReason = Literal["stop", "length", "other"]


def _absent(value: object) -> bool:
    return value is None


class Usage(Value):
    """Tokens of a call as counted by the server and stored in the ledger."""

    prompt: int = Field(default=0, ge=0, description="Tokens read, including cached ones.")
    completion: int = Field(default=0, ge=0, description="Tokens written, including thinking.")
    cached: int = Field(default=0, ge=0, description="The part of `prompt` that was in the server's prefix cache.")

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            prompt=self.prompt + other.prompt,
            completion=self.completion + other.completion,
            cached=self.cached + other.cached,
        )


class Call(Value):
    """A paid model call behind a path, including asks with an unreadable reply."""

    call_id: CallId
    stage: Stage = Field(description="The purpose of the call.")
    alias: str = Field(description="The recipe's model alias.")
    usage: Usage = Field(description="Tokens of this call.")


Severity = Literal["minor", "moderate", "serious", "critical"]


class StepError(Value):
    """A step in error."""

    step: int = Field(ge=1, description="The number of the step, from 1.")
    kind: str = Field(pattern=r"^[a-z_]{1,40}$", description="One of services/verifier/step_errors.toml.")
    severity: Severity = Field(description="What the error could do to a patient or to the answer; critical: harm.")
    reason: str = Field(max_length=4_000, description="What is wrong with the step, and what is right instead.")


class Steps(Value):
    """The steps that a judge was shown, and those in error. The ends are part of the message, so a later numbering does
    not move an earlier verdict."""

    ends: tuple[int, ...] = Field(
        min_length=1,
        max_length=200,
        description="Where each step ends in the path's text, in Unicode characters. The first begins at 0, each other "
        "one at the end of the one before.",
    )
    errors: tuple[StepError, ...] = Field(
        default=(), description="Empty if and only if the judge's verdict is correct."
    )


class Verdict(Value):
    """Whether a path is correct."""

    outcome: Literal["correct", "error", "unjudged"] = Field(
        description="unjudged: no decision was possible; such a path is unknown, not in error."
    )
    reason: str = Field(max_length=4_000, description="One or two sentences by the judge or the check.")
    by: Literal["judge", "stated_answer", "cut_off", "empty", "leak", "failure"] = Field(
        description="Who decided: the judge, or a check without a model; `failure`: no decision was possible."
    )
    judged: Literal["correct", "error"] | None = Field(
        default=None, description="The judge's outcome, if a judge was asked and its reply was readable."
    )
    stated: Letter | None = Field(default=None, description="The option letter that the path itself states, if any.")
    steps: Steps | None = Field(
        default=None,
        exclude_if=_absent,
        description="Which steps are in error. Null: the recipe does not ask for it, no judge decided, or the judge "
        "missed that the path states a wrong answer.",
    )


class Score(Value):
    """The quality of a correct path."""

    value: int | None = Field(ge=0, le=5, description="0 to 5; null if no reply was readable: the path ranks last.")
    justification: str = Field(
        default="", max_length=4_000, description="One sentence by the ranker, or the reason why there is no score."
    )


class Path(Value):
    """One chain of thought."""

    path_id: PathId
    origin: Origin = Field(
        description="generated: from the plan. refined: rewritten from its parent. regenerated: by the strong model."
    )
    round: int = Field(ge=0, description="0 for generated; the refining round, from 1, otherwise.")
    slot: int = Field(ge=0, description="Index in the plan (or in the round).")
    alias: str = Field(description="The recipe's alias of the model that wrote it.")
    temperature: float = Field(ge=0, description="Sampling temperature of the text.")
    parents: tuple[PathId, ...] = Field(
        default=(), description="The paths it was rewritten from, or whose reasons its prompt contains."
    )
    text: str = Field(default="", description="The answer's text; thinking stays in the ledger, under the call id.")
    finish_reason: FinishReason | None = Field(
        default=None,
        description="Why the model stopped; length: the text is truncated; other: it was interrupted. Null if the call "
        "failed or returned no complete text.",
    )
    failure: str | None = Field(
        default=None,
        description="Why there is no text: the call failed finally, or all asks were interrupted, refused or empty.",
    )
    calls: tuple[Call, ...] = Field(
        default=(), description="Every call paid for this path: generation, judgement, score."
    )
    verdict: Verdict | None = Field(default=None, description="Null until the verifier has judged the path.")
    score: Score | None = Field(default=None, description="Only if the verdict is correct.")

    @property
    def standing(self) -> Literal["unverified", "correct", "error", "unknown"]:
        """The state of the path; a failed call and an unjudged path are both unknown."""
        if self.failure is not None:
            return "unknown"
        if self.verdict is None:
            return "unverified"
        outcome = self.verdict.outcome
        match outcome:
            case "correct" | "error":
                return outcome
            case "unjudged":
                return "unknown"
            case _:
                assert_never(outcome)


class Spared(Value):
    """Calls of a stage that the recipe's full plan would have made, and the case did not need."""

    by: Literal["sampling", "judging"] = Field(description="The recipe's field: `sampling`, or `judge`.")
    stage: Stage = Field(description="The purpose of the calls.")
    calls: int = Field(ge=1, description="Their number; each would have been asked once.")
    usd: float = Field(ge=0, description="An estimate: the mean tokens of the case's own calls of the stage, priced.")


class Case(Message):
    """A question with all results so far. The key of its messages is the case id."""

    case_id: CaseId
    work_id: WorkId
    recipe_id: RecipeId
    life: int = Field(
        default=0, ge=0, description="0; a redrive adds one. A call made again in a new life is a new call."
    )
    call_life: int | None = Field(
        default=None,
        ge=0,
        exclude_if=_absent,
        description="The life whose model calls it makes; null: its own. A redrive that asks nothing again keeps the "
        "earlier one, so the ledger has its calls.",
    )
    question: Question = Field(description="The question itself.")
    paths: tuple[Path, ...] = Field(
        default=(), max_length=200, description="All paths so far, from every round, in no particular order."
    )
    difficulty: Difficulty | None = Field(default=None, description="Set once, when the planned paths are verified.")
    rounds: int = Field(default=0, ge=0, description="Refining rounds done.")
    wave: int | None = Field(
        default=None,
        ge=1,
        exclude_if=_absent,
        description="How often more paths of the plan were asked for, with adaptive sampling; null: never.",
    )
    kept: tuple[PathId, ...] = Field(default=(), description="On acceptance: the paths that become records.")
    gold_disputed: bool = Field(
        default=False,
        description="All paths that state an answer state the same one, and it differs from gold. For human review.",
    )
    rejected: str | None = Field(default=None, description="On rejection: the reason.")
    spared: tuple[Spared, ...] = Field(
        default=(),
        exclude_if=lambda value: not value,
        description="At its end, if the recipe samples adaptively or judges where needed: what that spared.",
    )

    @property
    def asks_in(self) -> int:
        """The life that its model calls are made in."""
        return self.life if self.call_life is None else self.call_life

    def path(self, path_id: str) -> Path:
        """The path with this id. Raises KeyError if there is none."""
        for path in self.paths:
            if path.path_id == path_id:
                return path
        raise KeyError(path_id)
