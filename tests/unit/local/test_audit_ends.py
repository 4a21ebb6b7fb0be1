"""The audit of a run: an orderly run has no defect; ends, repeats and records are counted."""

import pytest

from services.contracts.case import Spared
from services.contracts.dead import DEAD_LETTER_HEADER
from services.contracts.question import Submission
from services.contracts.topics import (
    CASE_ACCEPTED,
    CASE_DIFFICULT,
    CASE_REJECTED,
    CASE_UNDECIDED,
    PATHS_GENERATED,
    QUESTION_ADMITTED,
    QUESTION_SUBMITTED,
    RECIPES,
    RECORD_COMPLETED,
)
from services.core import ids
from services.local.audit.report import Used
from services.protogen.examples import CASE_ID, RECIPE
from tests.unit.local.audit_evidence import (
    ADMITTED,
    CASE,
    RECORD,
    SECOND,
    Evidence,
    die,
    run_fixture,  # noqa: F401  a fixture
)


def test_a_run_in_order(run: Evidence) -> None:
    said = run.count({"generator": Used(0.5, 80.0), "router": Used(0.25, 60.0), "gateway": Used(9.0, 50.0)})
    calls = len(run.calls)
    assert run.defects() == {}
    assert said["questions"] == said["ended"] == said["accepted"] == 1
    assert said["rejected"] == said["dead"] == said["dead_letters"] == said["equal_repeats"] == 0
    assert said["records"] == 2
    assert said["routes"] == {"easy": 0, "medium": 1, "difficult": 0}
    assert said["calls"] == calls > 10
    assert said["call_repeats"] == 0
    assert said["calls_per_s"] == calls / 10
    assert said["cpu_ms_per_call"] == round(750 / calls, 3)
    assert said["cpu_s"] == {"generator": 0.5, "router": 0.25, "gateway": 9.0}
    assert said["tokens"]["in"] == sum(row.outcome.usage.prompt for row in run.calls)
    assert said["tokens"]["out"] == sum(row.outcome.usage.completion for row in run.calls)
    assert said["cost"] == pytest.approx(
        sum(
            (row.usage.prompt * price.price_in + row.usage.completion * price.price_out) / 1e6
            for row in {call.call_id: call for path in CASE.paths for call in path.calls}.values()
            for price in [RECIPE.models[row.alias]]
        )
        + (380 * 0.4 + 45 * 0.4) / 1e6,
        abs=1e-6,
    )


def test_what_the_cases_did_not_need_is_summed_once(run: Evidence) -> None:
    assert run.count()["spared"] == {}
    spared = (
        Spared(by="sampling", stage="generate", calls=3, usd=0.5),
        Spared(by="sampling", stage="verify", calls=3, usd=0.25),
        Spared(by="judging", stage="verify", calls=1, usd=0.125),
    )
    for _ in range(2):
        run.put(CASE_ACCEPTED, CASE_ID, CASE.with_(spared=spared))
    assert run.count()["spared"] == {"sampling": {"calls": 6, "usd": 0.75}, "judging": {"calls": 1, "usd": 0.125}}


def test_without_a_servers_log_what_it_alone_tells_is_none(run: Evidence) -> None:
    said = run.count(log=False)
    assert said["calls"] == len(run.calls)
    assert said["calls_against_ledger"] is said["route_mismatches"] is said["call_repeats"] is None


def test_a_question_that_never_became_a_case_is_missing(run: Evidence) -> None:
    lost = CASE.question.with_(question="Another one?")
    case_id = ids.case_id(lost)
    run.put(QUESTION_SUBMITTED, case_id, Submission(case_id=case_id, question=lost))
    assert run.defects() == {"missing": 1}
    assert run.count()["questions"] == 2


def test_a_work_that_a_submission_named_and_that_never_began_is_missing(run: Evidence) -> None:
    """The question has ended under its first recipe; what was asked for under another is lost all the same."""
    named = "recipe-" + "0" * 32
    submission = Submission(case_id=CASE_ID, question=CASE.question, recipe_id=named)
    run.put(QUESTION_SUBMITTED, CASE_ID, submission)
    assert run.defects() == {"missing": 1}


def test_a_case_lost_on_its_way_is_missing(run: Evidence) -> None:
    run.messages = [message for message in run.messages if message.topic != RECORD_COMPLETED]
    assert run.count()["missing"] == 1
    assert run.count()["accepted"] == 0


def test_a_case_with_one_of_its_two_records_is_missing(run: Evidence) -> None:
    run.messages.pop()
    assert run.count()["missing"] == 1


def test_a_redriven_case_that_is_lost_is_missing(run: Evidence) -> None:
    """Its first life has ended, its second not."""
    run.put(QUESTION_ADMITTED, CASE_ID, ADMITTED.with_(life=1))
    assert run.defects() == {"missing": 1}


def test_a_second_work_of_the_question_that_is_lost_is_missing(run: Evidence) -> None:
    other = RECIPE.with_(name="other")
    work_id = ids.work_id(CASE_ID, ids.recipe_id(other))
    run.put(RECIPES, ids.recipe_id(other), other)
    run.put(QUESTION_ADMITTED, CASE_ID, ADMITTED.with_(work_id=work_id, recipe_id=ids.recipe_id(other)))
    assert run.defects() == {"missing": 1}


def test_accepted_and_rejected_are_two_ends(run: Evidence) -> None:
    run.put(CASE_REJECTED, CASE_ID, CASE.with_(rejected="no correct path"))
    assert run.defects() == {"two_ends": 1}


def test_a_record_beside_a_rejection_is_two_ends(run: Evidence) -> None:
    run.messages.pop()
    run.put(CASE_REJECTED, CASE_ID, CASE.with_(rejected="no correct path"))
    assert run.count()["two_ends"] == 1


def test_records_of_two_choices_are_two_ends(run: Evidence) -> None:
    chosen = CASE.paths[1].path_id
    another = SECOND.with_(record_id="record-" + 32 * "0", path_id=chosen)
    run.put(RECORD_COMPLETED, CASE_ID, another)
    run.dataset.append(another.record_id)
    assert run.defects() == {"two_ends": 1}


def test_of_two_lives_the_end_of_the_last_counts_as_in_status(run: Evidence) -> None:
    run.put(CASE_REJECTED, CASE_ID, CASE.with_(life=1, rejected="no correct path"))
    assert run.defects() == {}
    assert (run.count()["accepted"], run.count()["rejected"]) == (0, 1)


@pytest.mark.parametrize("topic", [QUESTION_ADMITTED, CASE_ACCEPTED, RECORD_COMPLETED])
def test_equal_repeats_are_counted_and_no_defect(run: Evidence, topic: str) -> None:
    run.messages += [message for message in run.messages if message.topic == topic]
    assert run.count()["equal_repeats"] == (2 if topic == RECORD_COMPLETED else 1)
    assert run.defects() == {}


def test_a_repeat_that_differs(run: Evidence) -> None:
    run.put(QUESTION_ADMITTED, CASE_ID, ADMITTED.with_(gold_disputed=True))
    run.put(RECORD_COMPLETED, CASE_ID, RECORD.with_(summary="Another summary."))
    assert run.defects() == {"differing_repeats": 2}


def test_waves_of_a_case_are_no_repeats(run: Evidence) -> None:
    for wave in (None, 1, 2):
        run.put(CASE_UNDECIDED, CASE_ID, ADMITTED.with_(wave=wave))
    assert run.count()["equal_repeats"] == run.count()["differing_repeats"] == 0


def test_rounds_of_a_case_are_no_repeats(run: Evidence) -> None:
    for rounds in (0, 1):
        run.put(CASE_DIFFICULT, CASE_ID, ADMITTED.with_(rounds=rounds))
    assert run.count()["equal_repeats"] == run.count()["differing_repeats"] == 0


def test_a_record_twice_in_the_dataset(run: Evidence) -> None:
    run.dataset += [RECORD.record_id, RECORD.record_id]
    assert run.defects() == {"duplicate_records": 2}


def test_a_record_that_the_dataset_lacks(run: Evidence) -> None:
    run.dataset.pop()
    assert run.defects() == {"unexported_records": 1}


def test_a_dead_case_has_ended(run: Evidence) -> None:
    run.messages = [message for message in run.messages if message.topic not in (CASE_ACCEPTED, RECORD_COMPLETED)]
    run.dataset.clear()
    die(run, PATHS_GENERATED, ADMITTED)
    said = run.count()
    assert (said["dead"], said["dead_letters"], said["missing"], said["ended"]) == (1, 1, 0, 1)
    assert run.defects() == {}


def test_a_dead_submission_has_ended(run: Evidence) -> None:
    question = CASE.question.with_(question="Another one?")
    submission = Submission(case_id=ids.case_id(question), question=question)
    run.put(QUESTION_SUBMITTED, submission.case_id, submission)
    die(run, QUESTION_SUBMITTED, submission)
    assert run.defects() == {}
    assert (run.count()["ended"], run.count()["dead_letters"]) == (2, 1)
    assert (run.count()["dead"], run.count()["accepted"]) == (1, 1), "as status counts them"


def test_a_dead_case_beside_its_records_is_two_ends(run: Evidence) -> None:
    die(run, CASE_ACCEPTED, CASE)
    assert run.defects() == {"two_ends": 1}


@pytest.mark.parametrize("headers", [{}, {DEAD_LETTER_HEADER: b"\x00"}])
def test_unreadable_messages_are_skipped(run: Evidence, headers: dict[str, bytes]) -> None:
    for topic in (QUESTION_SUBMITTED, CASE_ACCEPTED, RECORD_COMPLETED, RECIPES):
        run.put(topic, CASE_ID, b"\x00")
    run.put("router-dead", CASE_ID, b"\x00", headers)
    assert run.defects() == {}
    assert run.count()["dead_letters"] == 1
