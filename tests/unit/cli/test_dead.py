"""`reasonmed dead`: what is listed, shown, and sent on its way again; Kafka is a dictionary here."""

import json
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, Self, get_args

import pytest
from rich.console import Console

from services.cli.__main__ import main
from services.cli.repair import dead, dead_view
from services.contracts.case import Case
from services.contracts.codec import decode, encode
from services.contracts.dead import DEAD_LETTER_HEADER, DeadKind, DeadLetter
from services.contracts.topics import (
    LETTER_REDRIVEN,
    PATHS_VERIFIED,
    QUESTION_ADMITTED,
    RECORD_COMPLETED,
    dead_topic,
    topics,
)
from services.core.errors import BrokerAway
from services.core.messages import ConsumedRecord, OutgoingRecord
from services.deadletters import survey as dead_letters
from services.runtime.engine.source import TopicPartition
from tests.strategies import QUESTION, case, failed, path, wrong

NOON = 1_779_019_200_000
"""2026-05-17 12:00 UTC."""


class Broker:
    """Topics of one partition each."""

    def __init__(self) -> None:
        self.messages: defaultdict[str, list[ConsumedRecord]] = defaultdict(list)
        self.refuses: str | None = None

    def write(self, message: OutgoingRecord, timestamp_ms: int = NOON) -> None:
        there = self.messages[message.topic]
        there.append(
            ConsumedRecord(
                message.topic, 0, len(there), message.key, message.value, message.headers, timestamp_ms=timestamp_ms
            )
        )

    async def held(self, _: Any, names: Sequence[str]) -> dict[TopicPartition, range]:
        return {TopicPartition(name, 0): range(len(self.messages[name])) for name in names if name in topics()}

    async def read_topic(self, _: Any, *names: str) -> AsyncGenerator[ConsumedRecord, None]:
        for message in [message for name in names for message in self.messages[name]]:
            yield message

    async def read_range(self, _: Any, partition: TopicPartition, begin: int, end: int) -> list[ConsumedRecord]:
        return self.messages[partition.topic][begin:end]

    def values(self, topic: str) -> list[bytes]:
        return [message.value or b"" for message in self.messages[topic]]


class Sink:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def publish(self, messages: Sequence[OutgoingRecord]) -> None:
        for message in messages:
            if message.topic == self._broker.refuses:
                raise BrokerAway("it refuses")
            self._broker.write(message)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    made = Broker()
    for name in ("held", "read_topic", "read_range"):
        monkeypatch.setattr(dead_letters, name, getattr(made, name))
    monkeypatch.setattr(dead_letters, "KafkaSink", lambda _: Sink(made))
    return made


def bury(
    broker: Broker,
    value: bytes,
    *,
    kind: DeadKind = "too_many_unknown",
    service: str = "router",
    topic: str = PATHS_VERIFIED,
    error: str = "4 of 9 paths are unknown",
    key: bytes = case().case_id.encode(),
    at: int = NOON,
) -> None:
    offset = 100 + len(broker.messages[dead_topic(service)])
    reason = DeadLetter(service=service, kind=kind, error=error, attempts=2, topic=topic, partition=1, offset=offset)
    headers = {"trace": b"\x1b[2J", DEAD_LETTER_HEADER: encode(reason)}
    broker.write(OutgoingRecord(dead_topic(service), key, value, headers), at)


def undecided(number: int = 0) -> Case:
    made = case(QUESTION.with_(question=f"Question {number}?"))
    return made.with_(
        paths=tuple(failed(path(made, slot)) if slot < 4 else wrong(path(made, slot)) for slot in range(9))
    )


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """What is printed on stdout."""
    with pytest.raises(SystemExit) as ended:
        main(["dead", *arguments])
    said = capsys.readouterr()
    assert ended.value.code == code, said.err
    return said.out


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(run(capsys, *arguments, "--json"))


def test_every_kind_is_known_by_name_and_by_what_to_do() -> None:
    assert get_args(DeadKind) == dead.KINDS
    assert set(dead_view.TODO) == set(get_args(DeadKind))


def test_letters_are_counted_and_listed(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    bury(broker, encode(undecided()), key=undecided().case_id.encode())
    bury(broker, b"{", kind="poison", key=b"\xff")
    bury(broker, b"{}", kind="not_yet", service="exporter", topic=RECORD_COMPLETED, at=NOON - 1)
    listed = said(capsys, "list")
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


def test_the_table_shows_each_letter_and_obeys_none(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    bury(broker, encode(undecided()), error="\x1b[31m")
    bury(broker, b"{", kind="poison")
    said(capsys, "redrive", "--all", "--yes")
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
    assert [each["offset"] for each in said(capsys, "list", *filters)["letters"]] == offsets


def test_what_cannot_be_understood_is_a_usage_error(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "list", "--since", "yesterday", code=2)
    run(capsys, "list", "--kind", "sad", code=2)
    run(capsys, "show", "gateway", "0", "0", code=2)


def test_a_letter_is_shown_whole_and_obeyed_by_no_terminal(
    broker: Broker, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    value = b"\x1b]0;owned\x07 [bold]\xff " + b"x" * 5_000
    bury(broker, value, kind="poison", error="no case: \x1b[31m not JSON")
    shown = run(capsys, "show", "router", "0", "0", "--raw", str(tmp_path / "raw"))
    assert (tmp_path / "raw").read_bytes() == value
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert r"\x1b]0;owned\x07 [bold]\xff xxx" in shown
    assert "what to do: " + dead_view.TODO["poison"] in shown
    assert f"--raw FILE has all {len(value)} bytes" in shown
    as_data = said(capsys, "show", "router", "0", "0")
    assert as_data["error"] == "no case: \x1b[31m not JSON"
    assert json.loads(as_data["headers"][DEAD_LETTER_HEADER])["kind"] == "poison"


def test_a_place_with_no_letter_is_told(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "show", "router", "0", "0", code=1)


def test_without_yes_nothing_is_sent(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    bury(broker, encode(undecided()))
    assert said(capsys, "redrive") == {
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
    sent = said(capsys, "redrive", "--all", "--yes")
    assert [each["count"] for each in sent["redrives"]] == [dead_letters.BATCH + 3]
    assert [each["count"] for each in sent["stuck"]] == [1]
    redriven = [decode(Case, value) for value in broker.values(QUESTION_ADMITTED)]
    assert {made.life for made in redriven} == {1}
    assert [made.case_id for made in redriven] == [undecided(n).case_id for n in range(dead_letters.BATCH + 3)]

    again = said(capsys, "redrive", "--all", "--yes")
    assert (again["redrives"], again["already_redriven"]) == ([], dead_letters.BATCH + 3)
    assert len(broker.messages[QUESTION_ADMITTED]) == dead_letters.BATCH + 3
    assert said(capsys, "list")["counts"][1]["redriven"] == dead_letters.BATCH + 3


def test_a_letter_that_stands_twice_is_sent_once(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    bury(broker, encode(undecided()))
    bury(broker, encode(undecided()))
    said(capsys, "redrive", "--all", "--yes")
    assert len(broker.messages[QUESTION_ADMITTED]) == 1
    assert said(capsys, "redrive", "--all", "--yes")["already_redriven"] == 2


def test_what_an_interruption_leaves_unnoted_is_sent_again_with_the_same_bytes(
    broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    bury(broker, encode(undecided()))
    broker.refuses = LETTER_REDRIVEN
    run(capsys, "redrive", "--all", "--yes", code=1)
    broker.refuses = None
    said(capsys, "redrive", "--all", "--yes")
    first, repeat = broker.values(QUESTION_ADMITTED)
    assert first == repeat
    assert said(capsys, "redrive")["redrives"] == []


def test_a_life_that_was_followed_by_another_is_not_redriven(
    broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    bury(broker, encode(undecided()))
    bury(broker, encode(undecided().with_(life=1)))
    said(capsys, "redrive", "--all", "--yes")
    (value,) = broker.values(QUESTION_ADMITTED)
    assert decode(Case, value).life == 2


def test_messages_that_are_no_letters_are_counted(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    broker.write(OutgoingRecord("router-dead", b"k", b"hello", {}))
    assert said(capsys, "list") == {"counts": [], "unreadable": 1, "letters": []}
    assert said(capsys, "show", "router", "0", "0")["value"] == "hello"


def test_notes_of_a_newer_command_are_not_passed_over(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    broker.write(OutgoingRecord(LETTER_REDRIVEN, b"work-1", b'{"version": "2.0"}', {}))
    run(capsys, "redrive", code=1)


@pytest.mark.parametrize("name", ["router", "refiner", "refiner-medium", "exporter"])
def test_services_and_groups_can_be_chosen(broker: Broker, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert said(capsys, "list", "--service", name)["letters"] == []


def test_a_group_is_chosen_alone(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    for group in ("refiner-medium", "refiner-difficult"):
        reason = DeadLetter(service=group, kind="poison", error="x", attempts=1, topic="t", partition=0, offset=0)
        broker.write(OutgoingRecord(dead_topic("refiner"), b"key", b"{", {DEAD_LETTER_HEADER: encode(reason)}))
    assert [each["offset"] for each in said(capsys, "list", "--service", "refiner-difficult")["letters"]] == [1]
    assert [each["offset"] for each in said(capsys, "list", "--service", "refiner")["letters"]] == [0, 1]


@pytest.mark.parametrize("command", ["list", "redrive"])
def test_a_service_that_is_none_is_refused_with_the_list(
    broker: Broker, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["dead", command, "--service", "verifyer"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert all(name in told for name in dead_letters.SERVICES)


@pytest.mark.parametrize("command", ["list", "redrive"])
def test_a_filter_that_matches_nothing_is_told_apart_from_no_letters(
    broker: Broker, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert "No dead letters." in run(capsys, command, "--kind", "defect")
    bury(broker, encode(undecided()))
    bury(broker, b"{", kind="poison")
    assert "None of 2 dead letters match." in run(capsys, command, "--kind", "defect")


@pytest.mark.parametrize(
    "arguments", [["--yes"], ["--all", "--kind", "too_many_unknown", "--yes"], ["--all", "--service", "router"]]
)
def test_all_are_sent_only_where_that_is_said(
    broker: Broker, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    bury(broker, encode(undecided()))
    run(capsys, "redrive", *arguments, code=2)
    assert not broker.messages[QUESTION_ADMITTED]


@pytest.mark.parametrize(
    "arguments", [["--all"], ["--kind", "too_many_unknown"], ["--case", undecided().case_id], ["--service", "router"]]
)
def test_what_is_meant_is_sent(broker: Broker, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    bury(broker, encode(undecided()), key=undecided().case_id.encode())
    run(capsys, "redrive", *arguments, "--yes")
    assert len(broker.messages[QUESTION_ADMITTED]) == 1


def test_the_table_tells_place_and_time_apart(
    broker: Broker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_view, "out", Console(width=300))
    bury(broker, encode(undecided()))
    header, row = [line.split() for line in run(capsys, "list").splitlines() if "service" in line or "0/0" in line]
    assert header.index("place") < header.index("died")
    assert "at" not in header
    assert "2026-05-17T12:00:00+00:00" in row
