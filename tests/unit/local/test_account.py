"""The account of a run, on evidence made by hand: a run in order has no defect, and each defect shows in its count."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from services.contracts.base import Value
from services.contracts.case import Case
from services.contracts.codec import encode
from services.contracts.dead import DEAD_LETTER_HEADER, DeadLetter
from services.contracts.question import Question, Submission
from services.contracts.record import Record
from services.contracts.topics import (
    CASE_ACCEPTED,
    CASE_DIFFICULT,
    CASE_REJECTED,
    CURRENT,
    PATHS_GENERATED,
    QUESTION_ADMITTED,
    QUESTION_REFUSED,
    QUESTION_SUBMITTED,
    RECIPES,
    RECORD_COMPLETED,
)
from services.core.case import ids
from services.core.ledger.calls import Reply
from services.core.ledger.ports import CallRow, ClaimRow
from services.core.messages import ConsumedRecord
from services.llm.scripted.seeded import text_digest
from services.local.audit.report import Ledger, Used, account
from services.local.audit.topic_counts import Topics
from services.protogen.examples import CASE_ID, RECIPE, RECIPE_ID, examples

EXAMPLES = examples()
CASE: Any = EXAMPLES["case"]  # medium: two of three planned paths are correct; it keeps two
RECORD: Any = EXAMPLES["record"]  # the first of its two
SECOND: Any = RECORD.with_(record_id=ids.record_id(CASE.work_id, CASE.kept[1]), path_id=CASE.kept[1], index=1)
ADMITTED: Any = CASE.with_(paths=(), difficulty=None, rounds=0, kept=())
DEFECTS = (
    "missing",
    "two_ends",
    "differing_repeats",
    "duplicate_records",
    "untraceable_records",
    "unexported_records",
    "route_mismatches",
    "calls_against_ledger",
)
OTHER = "call-" + 32 * "f"
NEVER = 1e12


@dataclass
class Evidence:
    """What a run left behind."""

    messages: list[ConsumedRecord] = field(default_factory=list)
    calls: list[CallRow] = field(default_factory=list)
    claims: list[ClaimRow] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)
    dataset: list[str] = field(default_factory=list)

    def put(self, topic: str, key: str, message: Value | bytes, headers: dict[str, bytes] | None = None) -> None:
        value = message if isinstance(message, bytes) else encode(message)
        self.messages.append(ConsumedRecord(topic, 0, len(self.messages), key.encode(), value, headers or {}))

    def call(self, call_id: str, stage: str, slot: int, at: float, **notes: Any) -> None:
        """A call in order: claimed at, begun 1 s later, replied and completed after 2 s more."""
        self.reply(call_id, stage, slot, at, **notes)
        usage = next((call.usage for path in CASE.paths for call in path.calls if call.call_id == call_id), None)
        usage = usage or RECORD.calls[-1].usage
        self.claims.append(ClaimRow(call_id, "one", at, at + 3, "completed"))
        self.calls.append(CallRow(call_id, "one", at + 3, Reply(str(notes), "stop", usage)))

    def reply(self, call_id: str, stage: str, slot: int, at: float, **notes: Any) -> None:
        """A call as the server logs it; its text is all that the notes say."""
        seed = ids.seed(CASE_ID, stage, "generated", 0, slot)
        named = {"n": len(self.log), "server": 1, "id": call_id, "owner": "one", "stage": stage, "case": CASE_ID}
        self.log.append({"event": "start", **named, "at": at + 1})
        told = {"seed": seed, "text": text_digest(str(notes)), **notes}
        self.log.append({"event": "end", **named, "start": at + 1, "end": at + 2, "status": 200, **told})

    def count(self, used: dict[str, Used] | None = None, *, log: bool = True) -> dict[str, Any]:
        seen = Topics()
        for message in self.messages:
            seen.take(message)
        lines: Sequence[dict[str, Any]] | None = self.log if log else None
        ledger = Ledger(self.calls, self.claims)
        return account(seen, ledger, lines, self.dataset, used=used or {}, seconds=10.0, dataset=Path("/dataset"))

    def defects(self) -> dict[str, int]:
        said = self.count()
        return {name: said[name] for name in DEFECTS if said[name]}


@pytest.fixture
def run() -> Evidence:
    """One question's way, in order."""
    evidence = Evidence()
    evidence.put(RECIPES, RECIPE_ID, RECIPE)
    evidence.put(RECIPES, CURRENT, b'"' + RECIPE_ID.encode() + b'"')
    evidence.put(QUESTION_SUBMITTED, CASE_ID, Submission(case_id=CASE_ID, question=CASE.question))
    evidence.put(QUESTION_ADMITTED, CASE_ID, ADMITTED)
    evidence.put(CASE_ACCEPTED, CASE_ID, CASE)
    evidence.put(RECORD_COMPLETED, CASE_ID, RECORD)
    evidence.put(RECORD_COMPLETED, CASE_ID, SECOND)
    evidence.dataset = [RECORD.record_id, SECOND.record_id]
    paid = [call for path in CASE.paths for call in path.calls] + [RECORD.calls[-1]]
    verdicts = {path.slot: path.verdict for path in CASE.paths if path.origin == "generated"}
    for at, call in enumerate(dict.fromkeys(paid)):
        slot = next((path.slot for path in CASE.paths if call in path.calls and path.origin == "generated"), 9)
        notes: dict[str, Any] = {}
        if call.stage == "verify" and slot in verdicts:
            # The judge took the third for correct too, but it states another answer than gold.
            notes = {"verdict": "Correct", "stated": verdicts[slot].stated, "gold": CASE.question.answer}
        evidence.call(call.call_id, call.stage, slot, 100.0 * at, **notes)
    return evidence


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


def test_ends_of_two_lives_are_one_each(run: Evidence) -> None:
    run.put(CASE_REJECTED, CASE_ID, CASE.with_(life=1, rejected="no correct path"))
    assert run.defects() == {}
    assert (run.count()["accepted"], run.count()["rejected"]) == (1, 1)


@pytest.mark.parametrize("topic", [QUESTION_ADMITTED, CASE_ACCEPTED, RECORD_COMPLETED])
def test_equal_repeats_are_counted_and_no_defect(run: Evidence, topic: str) -> None:
    run.messages += [message for message in run.messages if message.topic == topic]
    assert run.count()["equal_repeats"] == (2 if topic == RECORD_COMPLETED else 1)
    assert run.defects() == {}


def test_a_repeat_that_differs(run: Evidence) -> None:
    run.put(QUESTION_ADMITTED, CASE_ID, ADMITTED.with_(gold_disputed=True))
    run.put(RECORD_COMPLETED, CASE_ID, RECORD.with_(summary="Another summary."))
    assert run.defects() == {"differing_repeats": 2}


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


def test_a_dead_case_beside_its_records_is_two_ends(run: Evidence) -> None:
    die(run, CASE_ACCEPTED, CASE)
    assert run.defects() == {"two_ends": 1}


@pytest.mark.parametrize("headers", [{}, {DEAD_LETTER_HEADER: b"\x00"}])
def test_what_cannot_be_read_is_passed_over(run: Evidence, headers: dict[str, bytes]) -> None:
    for topic in (QUESTION_SUBMITTED, CASE_ACCEPTED, RECORD_COMPLETED, RECIPES):
        run.put(topic, CASE_ID, b"\x00")
    run.put("router-dead", CASE_ID, b"\x00", headers)
    assert run.defects() == {}
    assert run.count()["dead_letters"] == 1


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


@pytest.mark.parametrize(
    ("changes", "mismatches"),
    [({"verdict": "Error"}, 1), ({"stated": "A"}, 1), ({"status": 500}, 1), ({"stated": None}, 0)],
)
def test_a_route_is_computed_from_what_the_server_said(run: Evidence, changes: dict[str, Any], mismatches: int) -> None:
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
        ([ERROR, CORRECT], 0),  # asked anew in a later life
        ([CORRECT, ERROR], 1),
    ],
)
def test_the_last_readable_verdict_on_a_path_counts(run: Evidence, asks: list[Any], mismatches: int) -> None:
    """Both correct paths are judged by several asks: the case is medium only if one of them stays correct."""
    for slot, line in first_two_verdicts(run):
        run.log.remove(line)
        for number, notes in enumerate(asks):
            run.call(f"call-{slot}-{number}", "verify", slot, 5_000.0 + number, **notes)
    assert run.count()["route_mismatches"] == mismatches


@pytest.mark.parametrize(("taken", "mismatches"), [(CORRECT, 0), (ERROR, 1)])
@pytest.mark.parametrize("order", [[CORRECT, ERROR], [ERROR, CORRECT]])
def test_of_a_call_made_twice_the_reply_that_the_ledger_took_counts(
    run: Evidence, order: list[Any], taken: Any, mismatches: int
) -> None:
    for slot, line in first_two_verdicts(run):
        run.log.remove(line)
        run.call(f"call-{slot}", "verify", slot, 5_000.0, **taken)
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
        altered: Question = CASE.question.with_(question="Altered on its way?")
        run.messages = [message for message in run.messages if message.value != encode(RECORD)]
        run.put(RECORD_COMPLETED, CASE_ID, RECORD.with_(question=altered))
    else:
        run.calls = [row for row in run.calls if row.call_id != RECORD.calls[0].call_id]
    assert run.count()["untraceable_records"] >= 1


def first_two_verdicts(run: Evidence) -> list[tuple[int, dict[str, Any]]]:
    """The slots and the log's lines of the two correct paths."""
    lines = [line for line in run.log if line.get("verdict") and line["stated"] == CASE.question.answer]
    slots = {ids.seed(CASE_ID, "verify", "generated", 0, slot): slot for slot in range(3)}
    return [(slots[line["seed"]], line) for line in lines]


def die(run: Evidence, topic: str, message: Value) -> None:
    letter = DeadLetter(service="x", kind="defect", error="e", attempts=1, topic=topic, partition=0, offset=7)
    run.put("verifier-dead", CASE_ID, message, {DEAD_LETTER_HEADER: encode(letter)})


def test_the_example_is_what_these_tests_take_it_for() -> None:
    assert isinstance(CASE, Case)
    assert isinstance(RECORD, Record)
    assert (CASE.difficulty, RECORD.of, RECORD.index) == ("medium", 2, 0)


def test_a_refused_question_has_ended_and_cost_nothing(run: Evidence) -> None:
    """Also one that named its recipe: it never becomes a work. Its account is in order."""
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
