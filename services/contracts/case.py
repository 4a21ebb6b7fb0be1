"""The case: one message a question, which travels whole, and its parts."""

from typing import Literal, assert_never

from pydantic import Field

from services.contracts.base import CallId, CaseId, Message, PathId, RecipeId, Value, WorkId
from services.contracts.question import Letter, Question

Stage = Literal["generate", "verify", "score", "refine", "reason", "summarize"]
"""What a model call is for: `refine` rewrites a medium case's path, `reason` reasons a difficult case anew."""

Difficulty = Literal["easy", "medium", "difficult"]
Origin = Literal["generated", "refined", "regenerated"]
FinishReason = Literal["stop", "length", "other"]


class Usage(Value):
    """Tokens that a server counted for a call, as the ledger holds them."""

    prompt: int = Field(default=0, ge=0, description="Tokens read, cached ones included.")
    completion: int = Field(default=0, ge=0, description="Tokens written, thinking included.")
    cached: int = Field(default=0, ge=0, description="Of `prompt`, those that the server had in its prefix cache.")

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            prompt=self.prompt + other.prompt,
            completion=self.completion + other.completion,
            cached=self.cached + other.cached,
        )


class Call(Value):
    """A paid model call that a path rests on, asks that couldn't be read included."""

    call_id: CallId
    stage: Stage = Field(description="What the call was for.")
    alias: str = Field(description="The recipe's model alias.")
    usage: Usage = Field(description="Tokens of this call.")


class Verdict(Value):
    """Whether a path holds."""

    outcome: Literal["correct", "error", "unjudged"] = Field(
        description="unjudged: nobody could tell; such a path is unknown, not in error."
    )
    reason: str = Field(max_length=4_000, description="The judge's one or two sentences, or the check's.")
    by: Literal["judge", "stated_answer", "cut_off", "empty", "leak", "failure"] = Field(
        description="Who decided: the judge, or a check that needs no model; `failure`: nobody could."
    )
    judged: Literal["correct", "error"] | None = Field(
        default=None, description="What the judge said, where one was asked and could be read."
    )
    stated: Letter | None = Field(default=None, description="The option letter that the path itself states, if any.")


class Score(Value):
    """How good a correct path is."""

    value: int | None = Field(ge=0, le=5, description="0 to 5; none where no reply could be read: it ranks last.")
    justification: str = Field(
        default="", max_length=4_000, description="The ranker's one sentence; or why no score could be read."
    )


class Path(Value):
    """One chain of thought."""

    path_id: PathId
    origin: Origin = Field(
        description="generated: of the plan. refined: rewritten from its parent. regenerated: by the strong model."
    )
    round: int = Field(ge=0, description="0 for generated; the refining round, from 1, otherwise.")
    slot: int = Field(ge=0, description="Its place in the plan (or in the round).")
    alias: str = Field(description="The recipe's alias of the model that wrote it.")
    temperature: float = Field(ge=0, description="The sampling temperature it was written at.")
    parents: tuple[PathId, ...] = Field(default=(), description="The paths it was rewritten from or told of.")
    text: str = Field(default="", description="The answer's text; thinking stays in the ledger, under the call id.")
    finish_reason: FinishReason | None = Field(
        default=None,
        description="Why the model stopped; length: it was cut off; other: it was interrupted. None where the call "
        "failed or brought no whole text.",
    )
    failure: str | None = Field(
        default=None,
        description="Why there is no text: its call failed for good, or all asks were interrupted, refused or empty.",
    )
    calls: tuple[Call, ...] = Field(default=(), description="Every call paid for it: written, judged, scored.")
    verdict: Verdict | None = Field(default=None, description="None until the verifier has seen it.")
    score: Score | None = Field(default=None, description="Only where the verdict is correct.")

    @property
    def standing(self) -> Literal["unverified", "correct", "error", "unknown"]:
        """Where the path stands; a failed call and an unjudged path are both unknown."""
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


class Case(Message):
    """A question on its way, with all that has been found out so far. The key of its messages is the case id."""

    case_id: CaseId
    work_id: WorkId
    recipe_id: RecipeId
    life: int = Field(default=0, ge=0, description="0; a redrive adds one. What is asked again is a new call.")
    question: Question = Field(description="The question itself.")
    paths: tuple[Path, ...] = Field(
        default=(), max_length=200, description="All paths so far, of every round; their order says nothing."
    )
    difficulty: Difficulty | None = Field(default=None, description="Set once, when the plan's paths are verified.")
    rounds: int = Field(default=0, ge=0, description="Refining rounds done.")
    kept: tuple[PathId, ...] = Field(default=(), description="On acceptance: the paths that become records.")
    gold_disputed: bool = Field(
        default=False,
        description="Every path that states an answer states the same other answer than gold: for people to see.",
    )
    rejected: str | None = Field(default=None, description="On rejection: why.")

    def path(self, path_id: str) -> Path:
        """The path with this id. KeyError where there is none."""
        for path in self.paths:
            if path.path_id == path_id:
                return path
        raise KeyError(path_id)
