"""`reasonmed dead redrive`."""

import pytest

from services.contracts.case import Case
from services.contracts.codec import decode, encode
from services.contracts.topics import (
    CASE_REJECTED,
    LETTER_REDRIVEN,
    QUESTION_ADMITTED,
)
from services.core.messages import OutgoingRecord
from services.deadletters import survey as dead_letters
from tests.unit.cli.dead_letters import Broker, as_json, bury, run, undecided


def test_nothing_is_sent_without_yes(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    bury(broker, encode(undecided()))
    assert as_json(capsys, "redrive") == {
        "dry_run": True,
        "redrives": [{"service": "router", "kind": "too_many_unknown", "to": QUESTION_ADMITTED, "count": 1}],
        "already_redriven": 0,
        "stuck": [],
    }
    assert "add --yes" in run(capsys, "redrive")
    assert not broker.messages[QUESTION_ADMITTED]
    assert not broker.messages[LETTER_REDRIVEN]


def test_each_letter_is_redriven_once(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(dead_letters.BATCH + 3):  # more than are sent at once
        bury(broker, encode(undecided(number)))
    bury(broker, b"{", kind="poison")
    sent = as_json(capsys, "redrive", "--all", "--yes")
    assert [each["count"] for each in sent["redrives"]] == [dead_letters.BATCH + 3]
    assert [each["count"] for each in sent["stuck"]] == [1]
    redriven = [decode(Case, value) for value in broker.values(QUESTION_ADMITTED)]
    assert {made.life for made in redriven} == {1}
    assert [made.case_id for made in redriven] == [undecided(n).case_id for n in range(dead_letters.BATCH + 3)]

    again = as_json(capsys, "redrive", "--all", "--yes")
    assert (again["redrives"], again["already_redriven"]) == ([], dead_letters.BATCH + 3)
    assert len(broker.messages[QUESTION_ADMITTED]) == dead_letters.BATCH + 3
    assert as_json(capsys, "list")["counts"][1]["redriven"] == dead_letters.BATCH + 3


def test_a_duplicate_letter_is_sent_once(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    bury(broker, encode(undecided()))
    bury(broker, encode(undecided()))
    as_json(capsys, "redrive", "--all", "--yes")
    assert len(broker.messages[QUESTION_ADMITTED]) == 1
    assert as_json(capsys, "redrive", "--all", "--yes")["already_redriven"] == 2


def test_a_letter_without_its_note_is_sent_again_with_the_same_bytes(
    broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    bury(broker, encode(undecided()))
    broker.refuses = LETTER_REDRIVEN
    run(capsys, "redrive", "--all", "--yes", code=1)
    broker.refuses = None
    as_json(capsys, "redrive", "--all", "--yes")
    first, repeat = broker.values(QUESTION_ADMITTED)
    assert first == repeat
    assert as_json(capsys, "redrive")["redrives"] == []


def test_a_life_followed_by_another_is_not_redriven(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    bury(broker, encode(undecided()))
    bury(broker, encode(undecided().with_(life=1)))
    as_json(capsys, "redrive", "--all", "--yes")
    (value,) = broker.values(QUESTION_ADMITTED)
    assert decode(Case, value).life == 2


def test_notes_of_a_newer_version_are_not_skipped(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    broker.write(OutgoingRecord(LETTER_REDRIVEN, b"work-1", b'{"version": "2.0"}', {}))
    run(capsys, "redrive", code=1)


@pytest.mark.parametrize(
    "arguments", [["--yes"], ["--all", "--kind", "too_many_unknown", "--yes"], ["--all", "--service", "router"]]
)
def test_all_are_sent_only_with_all(broker: Broker, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    bury(broker, encode(undecided()))
    run(capsys, "redrive", *arguments, code=2)
    assert not broker.messages[QUESTION_ADMITTED]


@pytest.mark.parametrize(
    "arguments", [["--all"], ["--kind", "too_many_unknown"], ["--case", undecided().case_id], ["--service", "router"]]
)
def test_the_selected_letters_are_sent(
    broker: Broker, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    bury(broker, encode(undecided()), key=undecided().case_id.encode())
    run(capsys, "redrive", *arguments, "--yes")
    assert len(broker.messages[QUESTION_ADMITTED]) == 1


def test_a_case_in_dead_letters_is_ended_for_good_with_its_reason(
    broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2):
        bury(broker, encode(undecided(number)), key=undecided(number).case_id.encode())
    bury(broker, b"{", kind="poison")
    chosen = undecided(0).case_id
    assert as_json(capsys, "end", "--case", chosen, "--reason", "withdrawn")["ended"] == 1
    assert not broker.messages[CASE_REJECTED], "a dry run"
    ended = as_json(capsys, "end", "--case", chosen, "--reason", "withdrawn", "--yes")
    assert ended == {"dry_run": False, "ended": 1, "already": 0}
    [rejected] = [decode(Case, value) for value in broker.values(CASE_REJECTED)]
    assert (rejected.case_id, rejected.life) == (chosen, undecided(0).life + 1)
    assert rejected.rejected == "ended by an operator: withdrawn"
    assert as_json(capsys, "redrive", "--case", chosen, "--yes")["already_redriven"] == 1
    assert not broker.messages[QUESTION_ADMITTED]
    assert as_json(capsys, "end", "--all", "--reason", "no use", "--yes")["ended"] == 1, (
        "the other; a malformed one has none"
    )
