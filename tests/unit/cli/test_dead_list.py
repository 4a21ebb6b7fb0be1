"""`reasonmed dead list` and `dead show`."""

import json
from pathlib import Path
from typing import get_args

import pytest

from services.cli.__main__ import main
from services.cli.repair import dead, dead_view
from services.contracts.codec import encode
from services.contracts.dead import DEAD_LETTER_HEADER, DeadKind, DeadLetter
from services.contracts.topics import (
    PATHS_VERIFIED,
    QUESTION_ADMITTED,
    RECORD_COMPLETED,
    dead_topic,
)
from services.core.messages import OutgoingRecord
from services.deadletters import survey as dead_letters
from tests.strategies import case
from tests.unit.cli.dead_letters import NOON, Broker, as_json, bury, run, undecided


def test_every_kind_has_a_remedy() -> None:
    assert get_args(DeadKind) == dead.KINDS
    assert set(dead_view.REMEDIES) == set(get_args(DeadKind))


def test_letters_are_counted_and_listed(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    bury(broker, encode(undecided()), key=undecided().case_id.encode())
    bury(broker, b"{", kind="poison", key=b"\xff")
    bury(broker, b"{}", kind="not_yet", service="exporter", topic=RECORD_COMPLETED, at=NOON - 1)
    listed = as_json(capsys, "list")
    assert listed["counts"] == [
        {"service": "exporter", "kind": "not_yet", "count": 1, "redriven": 0},
        {"service": "router", "kind": "poison", "count": 1, "redriven": 0},
        {"service": "router", "kind": "too_many_unknown", "count": 1, "redriven": 0},
    ]
    assert [(each["service"], each["offset"], each["case_id"]) for each in listed["letters"]] == [
        ("exporter", 0, case().case_id),
        ("router", 0, undecided().case_id),
        ("router", 1, None),
    ]
    assert listed["letters"][1] | {"why_not": None} == {
        "service": "router",
        "partition": 0,
        "offset": 0,
        "died": "2026-05-17T12:00:00+00:00",
        "case_id": undecided().case_id,
        "kind": "too_many_unknown",
        "error": "4 of 9 paths are unknown",
        "attempts": 2,
        "from": {"topic": PATHS_VERIFIED, "partition": 1, "offset": 100},
        "redriven": False,
        "to": QUESTION_ADMITTED,
        "why_not": None,
    }


def test_the_table_shows_each_letter_without_control_sequences(
    broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    bury(broker, encode(undecided()), error="\x1b[31m")
    bury(broker, b"{", kind="poison")
    as_json(capsys, "redrive", "--all", "--yes")
    shown = run(capsys, "list")
    assert "router  too_many_unknown: 1, 1 of them redriven" in shown
    assert "stuck" in shown
    assert "\x1b[31m" not in shown


@pytest.mark.parametrize(
    ("filters", "offsets"),
    [
        ([], [0, 1, 2]),
        (["--service", "router"], [0, 1, 2]),
        (["--service", "verifier"], []),
        (["--kind", "defect"], [1]),
        (["--case", undecided(2).case_id], [2]),
        (["--since", "2026-05-17T12:00:01"], [2]),
        (["--since", "2026-05-17T14:00:01+02:00"], [2]),
        (["--since", "2026-05-18"], []),
    ],
)
def test_filters(broker: Broker, capsys: pytest.CaptureFixture[str], filters: list[str], offsets: list[int]) -> None:
    for number in range(3):
        one = undecided(number)
        kind: DeadKind = "defect" if number == 1 else "too_many_unknown"
        bury(broker, encode(one), kind=kind, key=one.case_id.encode(), at=NOON + 1_000 * (number // 2))
    assert [each["offset"] for each in as_json(capsys, "list", *filters)["letters"]] == offsets


def test_invalid_arguments_are_usage_errors(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "list", "--since", "yesterday", code=2)
    run(capsys, "list", "--kind", "sad", code=2)
    run(capsys, "show", "gateway", "0/0", code=2)
    run(capsys, "show", "router", "17", code=2)


def test_a_letter_is_shown_whole_without_control_sequences(
    broker: Broker, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    value = b"\x1b]0;owned\x07 [bold]\xff " + b"x" * 5_000
    bury(broker, value, kind="poison", error="no case: \x1b[31m not JSON")
    shown = run(capsys, "show", "router", "0/0", "--raw", str(tmp_path / "raw"))
    assert (tmp_path / "raw").read_bytes() == value
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert r"\x1b]0;owned\x07 [bold]\xff xxx" in shown
    assert "what to do: " + dead_view.REMEDIES["poison"] in shown
    assert f"--raw FILE has all {len(value)} bytes" in shown
    as_data = as_json(capsys, "show", "router", "0/0")
    assert as_data["error"] == "no case: \x1b[31m not JSON"
    assert json.loads(as_data["headers"][DEAD_LETTER_HEADER])["kind"] == "poison"


def test_a_place_without_a_letter_fails(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "show", "router", "0/0", code=1)


def test_messages_that_are_not_letters_are_counted(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    broker.write(OutgoingRecord("router-dead", b"k", b"hello", {}))
    assert as_json(capsys, "list") == {"counts": [], "unreadable": 1, "letters": []}
    assert as_json(capsys, "show", "router", "0/0")["value"] == "hello"


@pytest.mark.parametrize("name", ["router", "refiner", "refiner-medium", "exporter"])
def test_services_and_groups_are_filters(broker: Broker, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert as_json(capsys, "list", "--service", name)["letters"] == []


def test_a_group_is_a_narrower_filter_than_its_service(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    for group in ("refiner-medium", "refiner-difficult"):
        reason = DeadLetter(service=group, kind="poison", error="x", attempts=1, topic="t", partition=0, offset=0)
        broker.write(OutgoingRecord(dead_topic("refiner"), b"key", b"{", {DEAD_LETTER_HEADER: encode(reason)}))
    assert [each["offset"] for each in as_json(capsys, "list", "--service", "refiner-difficult")["letters"]] == [1]
    assert [each["offset"] for each in as_json(capsys, "list", "--service", "refiner")["letters"]] == [0, 1]


@pytest.mark.parametrize("command", ["list", "redrive"])
def test_an_unknown_service_is_refused_with_the_list(
    broker: Broker, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["dead", command, "--service", "verifyer"])
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert all(name in message for name in dead_letters.SERVICES)


@pytest.mark.parametrize("command", ["list", "redrive"])
def test_no_match_and_no_letters_have_different_messages(
    broker: Broker, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert "No dead letters." in run(capsys, command, "--kind", "defect")
    bury(broker, encode(undecided()))
    bury(broker, b"{", kind="poison")
    assert "None of 2 dead letters matches." in run(capsys, command, "--kind", "defect")


def test_the_table_has_place_and_time(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    bury(broker, encode(undecided()))
    header, row = [line.split() for line in run(capsys, "list").splitlines() if "service" in line or "0/0" in line]
    assert header.index("place") < header.index("died")
    assert "at" not in header
    assert "2026-05-17T12:00:00+00:00" in row
