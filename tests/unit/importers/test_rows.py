"""Rows of question files become submissions, or say what is wrong."""

import json
from typing import Any

import pytest

from services.contracts.codec import decode
from services.contracts.question import Submission
from services.core import ids
from services.core.case.sizes import QUESTION_BYTES
from services.core.errors import BrokerAway
from services.core.messages import OutgoingRecord
from services.importers.rows import Rejected, submission, submissions
from services.importers.submit import BATCH, submit
from tests.unit.importers.sources import ListSink

ROW = {"question": "Which vitamin prevents scurvy?", "options": {"A": "B12", "B": "C"}, "answer": "B"}


def row(**changes: Any) -> bytes:
    return json.dumps({**ROW, **changes}).encode()


def taken(line: bytes) -> Submission:
    message = submission(line)
    assert isinstance(message, OutgoingRecord)
    return decode(Submission, message.value)


def test_a_row_becomes_the_message_that_the_gateway_would_send() -> None:
    message = submission(row(), recipe_id="recipe-" + "0" * 32)
    assert isinstance(message, OutgoingRecord)
    handed_in = decode(Submission, message.value)
    assert message.topic == "question-submitted"
    assert message.key.decode() == handed_in.case_id == ids.case_id(handed_in.question)
    assert handed_in.recipe_id == "recipe-" + "0" * 32


def test_a_passage_alone_is_a_list_of_one_and_null_is_absent() -> None:
    assert taken(row(context="Sailors ate lemons.")).question.context == ("Sailors ate lemons.",)
    assert taken(row(context=["One.", "Two."])).question.context == ("One.", "Two.")
    assert taken(row(context=None, subject=None)).question == taken(row(context="")).question


def test_unknown_fields_are_kept() -> None:
    assert taken(row(difficulty_guess=3)).question.model_extra == {"difficulty_guess": 3}


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b"not json", "row"),
        (b"[1]", "row"),
        (row(answer="D"), "row"),
        (row(options={"A": "x"}), "row"),
        (json.dumps({"question": "?", "options": {"A": "1", "B": "2"}}).encode(), "answer"),
        (row(options={"A": "x", "B": ""}), "options.B"),
        (row(recipe_id="recipe-1"), "row"),
        (b'{"question": ' + b"[" * 500 + b"]" * 500 + b"}", "question"),
        (row(extra=1)[:-1] + b', "deep": ' + b"[" * 400 + b"]" * 400 + b"}", "row"),
        (row(question="x" * (QUESTION_BYTES + 1)), "row"),
    ],
)
def test_a_rejected_row_names_the_field(line: bytes, field: str) -> None:
    rejected = submission(line, 7)
    assert isinstance(rejected, Rejected)
    assert (rejected.line, rejected.field, rejected.row) == (7, field, line)
    assert rejected.why


def test_blank_lines_count_as_lines_and_are_skipped() -> None:
    rows = list(submissions([b"\n", row() + b"\n", b"  \n", b"?\n"]))
    assert isinstance(rows[0], OutgoingRecord)
    assert isinstance(rows[1], Rejected)
    assert rows[1].line == 4


async def test_valid_rows_are_submitted_and_others_reported() -> None:
    sink, rejected = ListSink(), list[Rejected]()
    rows = list(submissions([row(id=str(n)) if n % 3 else b"?" for n in range(3 * BATCH)]))
    counts = await submit(rows, sink, on_rejected=rejected.append)
    assert (counts.submitted, counts.rejected) == (2 * BATCH, BATCH)
    assert [message for batch in sink.batches for message in batch] == [
        r for r in rows if isinstance(r, OutgoingRecord)
    ]
    assert len(rejected) == BATCH
    assert len(sink.batches) == 3


async def test_a_broker_outage_ends_the_run_with_correct_counts() -> None:
    seen: list[int] = []
    rows = list(submissions([row(id=str(n)) for n in range(2 * BATCH)]))
    with pytest.raises(BrokerAway):
        await submit(rows, ListSink(away_from=1), on_progress=lambda counts: seen.append(counts.submitted))
    assert seen == [BATCH]
