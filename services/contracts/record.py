"""The record: what the stream is for."""

from pydantic import Field

from services.contracts.base import CaseId, Message, PathId, RecipeId, RecordId, WorkId
from services.contracts.case import Call, Difficulty, Origin, Score, Stage, Usage, Verdict
from services.contracts.question import Question


class Record(Message):
    """One training record: a kept chain of thought with its summary and full lineage."""

    record_id: RecordId
    work_id: WorkId
    case_id: CaseId
    recipe_id: RecipeId
    life: int = Field(ge=0, description="The case's life: 0; a redrive adds one.")
    index: int = Field(ge=0, description="Which of the case's records this is, from 0.")
    of: int = Field(ge=1, description="How many records the case has; with all of them it has ended.")
    question: Question = Field(description="The question itself.")
    difficulty: Difficulty = Field(description="By how many of the plan's paths were found correct.")
    gold_disputed: bool = Field(description="Every path that states an answer states the same other one than gold.")
    path_id: PathId
    origin: Origin = Field(description="How the chain of thought came about.")
    parents: tuple[PathId, ...] = Field(description="The paths it was rewritten from or told of.")
    alias: str = Field(description="The recipe's alias of the model that wrote it.")
    model: str = Field(description="served name@revision of the model that wrote the chain of thought")
    temperature: float = Field(ge=0, description="The sampling temperature it was written at.")
    chain: str = Field(description="The chain of thought.")
    summary: str = Field(description="The chain of thought, condensed into a short explanation of the answer.")
    verdict: Verdict = Field(description="Why the chain of thought counts as correct.")
    score: Score = Field(description="How good the ranker found it.")
    calls: tuple[Call, ...] = Field(
        description="The calls this record rests on: its path's, its parents', its summary."
    )
    usage: dict[Stage, Usage] = Field(description="Tokens of the whole case by stage, and of this record's summary.")
    cost: dict[Stage, float] = Field(
        description="This record's share in USD, by stage: the case's calls divided by `of`, its own summary whole; "
        "by the recipe's prices, so that the records of a case sum to what the case cost."
    )
