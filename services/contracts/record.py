"""The record: the output of the stream."""

from pydantic import Field

from services.contracts.base import CaseId, Message, PathId, RecipeId, RecordId, Value, WorkId
from services.contracts.case import Call, Difficulty, Origin, Score, Spared, Stage, Steps, Usage, Verdict
from services.contracts.question import Question


class FaultyPath(Value):
    """A path of the case in which the judge named steps in error."""

    path_id: PathId
    origin: Origin = Field(description="The origin of the text.")
    alias: str = Field(description="The recipe's alias of the model that wrote it.")
    model: str = Field(description="served name@revision of that model")
    temperature: float = Field(ge=0, description="Sampling temperature of the text.")
    text: str = Field(description="The chain of thought.")
    reason: str = Field(description="The verdict's reason.")
    steps: Steps = Field(description="Its steps, and those in error.")


class Record(Message):
    """One training record: a kept chain of thought with its summary and full lineage."""

    record_id: RecordId
    work_id: WorkId
    case_id: CaseId
    recipe_id: RecipeId
    life: int = Field(ge=0, description="The case's life: 0; a redrive adds one.")
    index: int = Field(ge=0, description="Index among the case's records, from 0.")
    of: int = Field(ge=1, description="Number of records of the case; the case has ended once all of them are written.")
    question: Question = Field(description="The question itself.")
    difficulty: Difficulty = Field(description="Determined by the number of correct planned paths.")
    gold_disputed: bool = Field(
        description="All paths that state an answer state the same answer, and it differs from gold."
    )
    path_id: PathId
    origin: Origin = Field(description="The origin of the chain of thought.")
    parents: tuple[PathId, ...] = Field(
        description="The paths it was rewritten from, or whose reasons its prompt contains."
    )
    alias: str = Field(description="The recipe's alias of the model that wrote it.")
    model: str = Field(description="served name@revision of the model that wrote the chain of thought")
    temperature: float = Field(ge=0, description="Sampling temperature of the chain of thought.")
    chain: str = Field(description="The chain of thought.")
    summary: str = Field(description="The chain of thought, condensed into a short explanation of the answer.")
    verdict: Verdict = Field(description="Why the chain of thought counts as correct.")
    score: Score = Field(description="The ranker's score.")
    in_error: tuple[FaultyPath, ...] | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="In the case's first record, if the recipe's verdicts name steps: all paths with steps in error.",
    )
    spared: tuple[Spared, ...] = Field(
        default=(),
        exclude_if=lambda value: not value,
        description="In the case's first record: the calls that the case did not need.",
    )
    calls: tuple[Call, ...] = Field(
        description="The calls behind this record: of its path, its parents and its summary."
    )
    usage: dict[Stage, Usage] = Field(description="Tokens by stage: of the whole case, and of this record's summary.")
    cost: dict[Stage, float] = Field(
        description="This record's share in USD by stage, at the recipe's prices: the case's calls divided by `of`, "
        "plus its own summary. The records of a case sum to the case's cost."
    )
