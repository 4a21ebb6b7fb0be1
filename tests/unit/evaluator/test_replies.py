"""Reading the evaluator: four ratings, or nothing; never a guess."""

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.case import Usage
from services.core.ledger.calls import Reply
from services.evaluator.replies import CRITERIA, SCHEMA, rated

WHOLE = {"clinical_accuracy": 8, "logic": 7, "factual_correctness": 10, "completeness": 1, "justification": "Thin."}


def reply(text: str) -> Reply:
    return Reply(text, "stop", Usage())


def test_every_reply_of_the_schema_is_parsed() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(WHOLE, SCHEMA)
    read = rated(reply(json.dumps(WHOLE)))
    assert read is not None
    assert read.ratings == {criterion: WHOLE[criterion] for criterion in CRITERIA}
    assert (read.overall, read.justification) == (6.5, "Thin.")


@given(st.fixed_dictionaries({criterion: st.integers(-3, 13) for criterion in CRITERIA}))
def test_ratings_beyond_the_scale_are_none(ratings: dict[str, int]) -> None:
    read = rated(reply(json.dumps({**ratings, "justification": "j"})))
    assert (read is not None) == all(1 <= value <= 10 for value in ratings.values())
    assert read is None or read.ratings == ratings


@pytest.mark.parametrize("criterion", CRITERIA)
def test_three_of_four_are_none(criterion: str) -> None:
    assert rated(reply(json.dumps({name: value for name, value in WHOLE.items() if name != criterion}))) is None
    assert rated(reply(json.dumps({**WHOLE, criterion: "high"}))) is None
    assert rated(reply(json.dumps({**WHOLE, criterion: 7.5}))) is None


def test_a_contradictory_criterion_is_rejected_and_a_repeated_one_parsed() -> None:
    text = json.dumps(WHOLE)
    assert rated(reply(f'{text} no: {{"logic": 2}}')) is None
    assert rated(reply(f'{text} {{"logic": 7}}')) is not None
    assert rated(reply(text.replace('"logic": 7', '"logic": 7 or 8'))) is None


def test_broken_but_clear_replies_are_parsed() -> None:
    assert rated(reply(f"Here:\n```json\n{json.dumps(WHOLE)[:-1]},}}\n```")) is not None
    assert rated(reply(str(WHOLE))) is not None


@given(st.text() | st.text('{}[]":, logic0123456789', max_size=80))
def test_no_text_breaks_the_reader(text: str) -> None:
    assert rated(reply(text)) is None
