"""The audit of a run: calls against the ledger, routes, lineage."""

from dataclasses import replace
from typing import Any

import pytest

from services.contracts.base import CallId
from services.contracts.case import Case
from services.contracts.codec import encode
from services.contracts.question import Question, Submission
from services.contracts.record import Record
from services.contracts.topics import (
    CASE_ACCEPTED,
    QUESTION_REFUSED,
    QUESTION_SUBMITTED,
    RECIPES,
    RECORD_COMPLETED,
)
from services.core import ids
from services.core.ledger.ports import ClaimRow
from services.protogen.examples import CASE_ID, RECIPE_ID
from tests.unit.local.audit_evidence import (
    CASE,
    EXAMPLES,
    NEVER,
    OTHER,
    RECORD,
    Evidence,
    first_two_verdicts,
    run_fixture,  # noqa: F401  a fixture
)


def test_a_call_begun_while_the_ledger_held_its_reply(run: Evidence) -> None:
    start = run.log[0]
    run.log.append({**start, "n": 99, "at": run.calls[0].at + 0.001})
    assert run.defects() == {"calls_against_ledger": 1}
    assert run.count()["call_repeats"] == 1


@pytest.mark.parametrize(
    ("owner", "since", "until", "against"),
    [
        ("another", 0.0, NEVER, 1),
        ("another", 0.0, 1.0, 0),  # it ended at the very moment
        ("another", 1.001, NEVER, 0),
        ("one", 0.0, NEVER, 0),
    ],
)
def test_a_call_begun_under_a_lease(run: Evidence, owner: str, since: float, until: float, against: int) -> None:
    """The first call begins at 1.0, sent by `one`."""
    run.claims.append(ClaimRow(run.calls[0].call_id, owner, since, until, "open"))
    assert run.count()["calls_against_ledger"] == against


def test_a_repeat_by_leave_of_the_ledger_is_none_against_it(run: Evidence) -> None:
    """Killed under its call: the lease ran out, another made it."""
    run.claims.append(ClaimRow(OTHER, "killed", 0.0, 6.0, "open"))
    run.claims.append(ClaimRow(OTHER, "two", 6.1, 9.0, "completed"))
    for owner, at in [("killed", 0.1), ("two", 6.2)]:
        run.log.append({**run.log[0], "id": OTHER, "owner": owner, "at": at})
    run.calls.append(replace(run.calls[0], call_id=OTHER, owner="two", at=9.0))
    assert run.defects() == {}
    assert run.count()["call_repeats"] == 1


@pytest.mark.parametrize("routed", ["easy", "difficult"])
def test_another_route_than_the_servers_verdicts_lead_to(run: Evidence, routed: Any) -> None:
    run.messages = [message for message in run.messages if message.topic != CASE_ACCEPTED]
    run.put(CASE_ACCEPTED, CASE_ID, CASE.with_(difficulty=routed))
    assert run.defects() == {"route_mismatches": 1}


def test_a_question_that_the_script_does_not_know_has_no_expected_route(run: Evidence) -> None:
    for line in run.log:
        if "gold" in line:
            line["gold"] = None
    assert run.count()["route_mismatches"] == 0


@pytest.mark.parametrize(
    ("changes", "mismatches"),
    [({"verdict": "Error"}, 1), ({"stated": "A"}, 1), ({"status": 500}, 1), ({"stated": None}, 0)],
)
def test_a_route_is_computed_from_the_server_log(run: Evidence, changes: dict[str, Any], mismatches: int) -> None:
    """Of its two correct paths, both are judged otherwise: difficult, then."""
    for line in run.log:
        if line.get("verdict") and line["stated"] == CASE.question.answer:
            line.update(changes)
    assert run.count()["route_mismatches"] == mismatches


CORRECT, ERROR = ({"verdict": word, "stated": "B", "gold": "B"} for word in ("Correct", "Error"))
UNREADABLE = {"stated": "B", "gold": "B"}


@pytest.mark.parametrize(
    ("asks", "mismatches"),
    [
        ([UNREADABLE, CORRECT], 0),
        ([UNREADABLE, UNREADABLE, CORRECT], 0),
        ([UNREADABLE, ERROR], 1),
        ([UNREADABLE, UNREADABLE, UNREADABLE], 1),
        ([ERROR, CORRECT], 0),  # asked again in a later life
        ([CORRECT, ERROR], 1),
    ],
)
def test_the_last_readable_verdict_on_a_path_counts(run: Evidence, asks: list[Any], mismatches: int) -> None:
    """Both correct paths are judged by several asks: the case is medium only if one of them stays correct."""
    for slot, line in first_two_verdicts(run):
        run.log.remove(line)
        for number, notes in enumerate(asks):
            run.call(CallId(f"call-{slot}-{number}"), "verify", slot, 5_000.0 + number, **notes)
    assert run.count()["route_mismatches"] == mismatches


@pytest.mark.parametrize(("taken", "mismatches"), [(CORRECT, 0), (ERROR, 1)])
@pytest.mark.parametrize("order", [[CORRECT, ERROR], [ERROR, CORRECT]])
def test_of_a_call_made_twice_the_reply_that_the_ledger_took_counts(
    run: Evidence, order: list[Any], taken: Any, mismatches: int
) -> None:
    for slot, line in first_two_verdicts(run):
        run.log.remove(line)
        run.call(CallId(f"call-{slot}"), "verify", slot, 5_000.0, **taken)
        del run.log[-2:]
        for notes in order:
            run.reply(f"call-{slot}", "verify", slot, 5_000.0, **notes)
    assert run.count()["route_mismatches"] == mismatches


def test_a_window_of_faults_in_the_log_is_no_call(run: Evidence) -> None:
    before = run.count()
    run.log.insert(0, {"event": "window", "kind": "429", "at": 1.0, "until": 6.0})
    assert run.count() == before


@pytest.mark.parametrize("what", ["recipe", "question", "digest", "call"])
def test_an_untraceable_record(run: Evidence, what: str) -> None:
    if what == "recipe":
        run.messages = [message for message in run.messages if message.topic != RECIPES]
    elif what == "question":
        run.messages = [message for message in run.messages if message.topic != QUESTION_SUBMITTED]
    elif what == "digest":
        altered: Question = CASE.question.with_(question="Altered in transit?")
        run.messages = [message for message in run.messages if message.value != encode(RECORD)]
        run.put(RECORD_COMPLETED, CASE_ID, RECORD.with_(question=altered))
    else:
        run.calls = [row for row in run.calls if row.call_id != RECORD.calls[0].call_id]
    assert run.count()["untraceable_records"] >= 1


def test_the_example_is_what_these_tests_take_it_for() -> None:
    assert isinstance(CASE, Case)
    assert isinstance(RECORD, Record)
    assert (CASE.difficulty, RECORD.of, RECORD.index) == ("medium", 2, 0)


def test_a_refused_question_has_ended_and_cost_nothing(run: Evidence) -> None:
    """Also one that named its recipe: it never becomes a work. Its audit report has no defect."""
    question = CASE.question.with_(question="Another one?")
    refused: Any = EXAMPLES["refused"]
    refused = refused.with_(case_id=ids.case_id(question), question=question)
    submission = Submission(case_id=refused.case_id, question=refused.question, recipe_id=RECIPE_ID)
    run.put(QUESTION_SUBMITTED, refused.case_id, submission)
    for _ in range(2):
        run.put(QUESTION_REFUSED, refused.case_id, refused)
    said = run.count()
    assert run.defects() == {}
    assert (said["questions"], said["ended"], said["refused"], said["equal_repeats"]) == (2, 2, 1, 1)
