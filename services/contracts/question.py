"""The question, and its submission."""

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from services.contracts.base import CaseId, Message, RecipeId, Value

LETTERS = "ABCDEFGHIJ"
"""The allowed option letters, in order. Ten letters cover every known source (MedQA has five)."""

Letter = Annotated[str, Field(pattern=rf"^[{LETTERS[0]}-{LETTERS[-1]}]$")]
Text = Annotated[str, Field(min_length=1, max_length=20_000)]


class Question(Value):
    """One multiple-choice question with its gold answer."""

    question: Text = Field(description="The stem.")
    options: dict[str, Text] = Field(
        description="Option texts by letter: A, B, C … without a gap, 2 to 10 of them.",
        json_schema_extra={"propertyNames": {"enum": list(LETTERS)}, "minProperties": 2, "maxProperties": len(LETTERS)},
    )
    answer: Letter = Field(description="The gold answer: one letter of the options.")
    context: tuple[Text, ...] = Field(
        default=(), max_length=50, description="Passages that belong to the question (such as PubMedQA's abstract)."
    )
    source: str | None = Field(
        default=None, max_length=200, description="The origin of the question; not part of the case id."
    )
    id: str | None = Field(default=None, max_length=200, description="The id in the source; not part of the case id.")
    subject: str | None = Field(default=None, max_length=200, description="Speciality, if the source gives one.")

    @field_validator("options")
    @classmethod
    def _in_order(cls, options: dict[str, str]) -> dict[str, str]:
        return dict(sorted(options.items()))  # writers may not preserve the order of an object's fields

    @model_validator(mode="after")
    def _options_and_answer_fit(self) -> Self:
        letters = list(self.options)
        if len(letters) < 2 or letters != list(LETTERS[: len(letters)]):
            raise ValueError(f"options must be lettered A, B, C … without a gap, 2 to {len(LETTERS)} of them")
        if self.answer not in self.options:
            raise ValueError(f"answer must be one of {', '.join(self.options)}")
        return self


class Submission(Message):
    """A submitted question, before admission. In the topic question-submitted; the key is the case id."""

    case_id: CaseId
    question: Question = Field(description="The question itself.")
    recipe_id: RecipeId | None = Field(
        default=None, description="The requested recipe; null: the current one, and at most once per question."
    )
    life: int = Field(default=0, ge=0, description="0; a redrive of a dead letter adds one.")
