"""Parses an evaluator's reply: four ratings or None, never a guess."""

from dataclasses import dataclass

from services.core.case.replies import fields, prose, schema, whole
from services.core.ledger.calls import Reply

CRITERIA = ("clinical_accuracy", "logic", "factual_correctness", "completeness")
"""The paper's four criteria."""

LEAST, MOST = 1, 10
"""The paper's scale."""

SCHEMA = schema(
    "evaluation",
    {criterion: {"type": "integer", "minimum": LEAST, "maximum": MOST} for criterion in CRITERIA},
    {"justification": {"type": "string", "maxLength": 1000}},
)


@dataclass(frozen=True)
class Rated:
    """The evaluator's ratings of a text."""

    ratings: dict[str, int]
    """By criterion, all four."""
    justification: str

    @property
    def overall(self) -> float:
        """The mean of the four criteria. Our choice: the paper does not define its overall score."""
        return sum(self.ratings.values()) / len(self.ratings)


def rated(reply: Reply) -> Rated | None:
    """The ratings that the reply states, if it states all four."""
    said = fields(reply, *CRITERIA)
    ratings = {criterion: whole(said.get(criterion), LEAST, MOST) for criterion in CRITERIA}
    clear = {criterion: value for criterion, value in ratings.items() if value is not None}
    return Rated(clear, prose(said.get("justification"))) if len(clear) == len(CRITERIA) else None
