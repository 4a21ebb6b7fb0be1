"""Reading a judge: what it says, or nothing; never a guess."""

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.case import Usage
from services.core.ledger.calls import Reply
from services.verifier.replies import Judged, Scored, score, verdict
from services.verifier.verdict_schema import BOTH_SCHEMA, SCORE_SCHEMA, VERDICT_SCHEMA
from tests.strategies import json_values, names

words = st.sampled_from(["Correct", "Error"])
reasons = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def reply(text: str) -> Reply:
    return Reply(text, "stop", Usage())


@given(word=words, reason=reasons, more=st.dictionaries(names, json_values, max_size=2))
def test_replies_of_the_schema_are_parsed(word: str, reason: str, more: dict[str, object]) -> None:
    more = {key: value for key, value in more.items() if '"verdict"' not in json.dumps({key: value})}
    text = json.dumps({**more, "verdict": word, "reason": reason})
    assert verdict(reply(text)) == Judged("correct" if word == "Correct" else "error", reason.strip())


@given(value=st.integers(-3, 9), justification=reasons)
def test_a_score_is_a_whole_number_from_0_to_5(value: int, justification: str) -> None:
    read = score(reply(json.dumps({"score": value, "justification": justification})))
    assert read == (Scored(value, justification.strip()) if 0 <= value <= 5 else None)


@pytest.mark.parametrize(
    "text",
    [
        '{"verdict": "Error", "reason": "Wrong dose."}',
        '```json\n{"verdict": "Error", "reason": "Wrong dose."}\n```',
        'Here it is:\n{"verdict": "Error", "reason": "Wrong dose."}\nI hope this helps.',
        '[1] {"verdict": "Error", "reason": "Wrong dose."} [2]',
        "{'verdict': 'Error', 'reason': 'Wrong dose.'}",
        '{"verdict": "error ", "reason": " Wrong dose. ",}',
        '{"verdict": "ERROR" "reason": "Wrong dose."}',
        '{"verdict": "Error", "reason": "Wrong dose.',
        '{"verdict": "Error", "reason": "Wrong dose."} {"verdict": "error"}',
        '{"verdict": "Error, "reason": "Wrong dose."}',
    ],
)
def test_broken_but_clear_replies_are_parsed(text: str) -> None:
    assert verdict(reply(text)) == Judged("error", "Wrong dose.")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Correct",
        "verdict: Correct",
        "{}",
        "[]",
        '{"verdict": null}',
        '{"verdict": true}',
        '{"verdict": ""}',
        '{"verdict": "Correct or Error"}',
        '{"verdict": "Correct|Error"}',
        '{"verdict": "Partially correct"}',
        '{"verdict": "Incorrect"}',
        '{"verdict": "Not Correct"}',
        '{"verdict": "Correct" is too kind}',
        '{"verdict": "Correct" "Error"}',
        '{"verdict": "Correct"\n"Error"}',
        '{"verdict": "Correct", "Error"}',
        '{"verdict": "Correct"; "verdict": "Error"}',
        '{"verdict": "Correct", "Verdict": "Error"}',
        '{"verdict": /* not "Error" */ "Correct"}',
        '{"verdict": "Correct',
        '{"verdict": Correct',
        '{"reason": "Correct"}',
        '{"judgement": {"verdict": "Correct"}}',
        "[" * 50_000 + '{"verdict": "Correct"}',
        '{"a":' * 50_000 + '{"verdict": "Correct"}',
    ],
    ids=lambda text: text[:30],
)
def test_unclear_replies_are_not_parsed(text: str) -> None:
    assert verdict(reply(text)) is None


@given(
    one=words,
    other=words,
    quote=st.sampled_from("\"'"),
    between=st.sampled_from([", ", "}\n{", "} no: {", ', "reason": "x", ', "} }, {"]),
)
def test_two_verdicts_that_conflict_are_none(one: str, other: str, quote: str, between: str) -> None:
    read = verdict(reply(f'{{"verdict": "{one}"{between}{quote}verdict{quote}: {quote}{other}{quote}}}'))
    assert read is None or (one == other and read.outcome == ("correct" if one == "Correct" else "error"))


@pytest.mark.parametrize(
    "text",
    ['{"score": 3, "score": 4}', '{"score": 3}\n{"score": 4}', '{"score": 3.5}', '{"score": true}', '{"score": 4/6}',
     '{"score": 3 or 4}', '{"score": 3 out of 4}', '{"score": 2 5}', '{"score": 3, 4}', '{"score": 3 # or 4\n}',
     '{"score": 3', '{"score": 3.', '{"score": 3: 4}', 'It is: {"score": 3, "n": ' + "9" * 5_000 + "}",
     '{"score": null}', '{"score": "high"}', '{"score": 1e400}', '{"score": 99999999999999999999}', "score: 3", "3"],
    ids=lambda text: text[:30],
)  # fmt: skip
def test_a_score_that_is_not_clear_is_not_read(text: str) -> None:
    assert score(reply(text)) is None


def test_a_verdict_quoted_in_the_reason_is_no_second_one() -> None:
    text = json.dumps({"reason": 'I nearly wrote "verdict": "Error".', "verdict": "Correct"})
    assert verdict(reply(text)) == Judged("correct", 'I nearly wrote "verdict": "Error".')


@given(text=st.text() | st.text('{}[]":,verdictCoErs 0123456789', max_size=80))
def test_no_text_breaks_the_reader(text: str) -> None:
    for read in (verdict(reply(text)), score(reply(text))):
        assert read is None or isinstance(read, Judged | Scored)


def test_a_long_reason_is_cut_to_what_a_verdict_may_hold() -> None:
    read = verdict(reply(json.dumps({"verdict": "Error", "reason": "x" * 9_000})))
    assert read is not None
    assert len(read.reason) == 4_000


@pytest.mark.parametrize("schema", [VERDICT_SCHEMA, SCORE_SCHEMA, BOTH_SCHEMA], ids=lambda schema: schema["title"])
def test_every_reply_of_the_schemas_can_be_parsed(schema: dict[str, object]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    whole = {"verdict": "Correct", "reason": "r", "score": 4, "justification": "j"}
    asked_for = {key: whole[key] for key in schema["required"]}  # type: ignore[attr-defined]
    jsonschema.validate(asked_for, schema)
    text = json.dumps(asked_for)
    assert (verdict(reply(text)) is not None) == ("verdict" in asked_for)
    assert (score(reply(text)) is not None) == ("score" in asked_for)
