"""The record: what the stream is for."""

from pydantic import Field

from services.contracts.base import CaseId, Message, PathId, RecipeId, RecordId, WorkId
from services.contracts.case import Call, Difficulty, Origin, Score, Stage, Usage, Verdict
from services.contracts.question import Question


class Record(Message):
    """One training record: a kept chain of thought with its summary and full lineage."""

    record_id: RecordId = Field(description="Digest of work id and path id.")
    work_id: WorkId
    case_id: CaseId
    recipe_id: RecipeId
    life: int = Field(ge=0)
    index: int = Field(ge=0, description="Which of the case's records this is, from 0.")
    of: int = Field(ge=1, description="How many records the case has; with all of them it has ended.")
    question: Question
    difficulty: Difficulty
    gold_disputed: bool
    path_id: PathId
    origin: Origin
    parents: tuple[PathId, ...]
    alias: str
    model: str = Field(description="served name@revision of the model that wrote the chain of thought")
    temperature: float
    chain: str = Field(description="The chain of thought.")
    summary: str
    verdict: Verdict
    score: Score
    calls: tuple[Call, ...] = Field(
        description="The calls this record rests on: its path's, its parents', its summary."
    )
    usage: dict[Stage, Usage] = Field(description="Tokens of the whole case by stage, and of this record's summary.")
    cost: dict[Stage, float] = Field(
        description="This record's share in USD, by stage: the case's calls divided by `of`, its own summary whole; "
        "by the recipe's prices, so that the records of a case sum to what the case cost."
    )
