"""tap, sql and analyse as they are typed, on a Kafka that is played."""

import csv
import io
import json
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import orjson
import pytest
from rich.console import Console

from services.cli.__main__ import main
from services.cli.data import rows as printing
from services.cli.piped import INTERRUPTED
from services.contracts.topics import CASE_ACCEPTED, PATHS_VERIFIED, RECORD_COMPLETED
from services.core.messages import ConsumedRecord, TopicPartition
from services.protogen.examples import RECIPE
from services.taps.database import Result
from tests.examples import CASE, RECORD
from tests.unit.taps.streams import message, of


class PlayedKafka:
    """What the commands read: these messages, and what they asked for."""

    def __init__(self) -> None:
        said = [of(RECIPE), (PATHS_VERIFIED, CASE), (CASE_ACCEPTED, CASE), (RECORD_COMPLETED, RECORD)]
        self.messages = [message(*each, offset=offset) for offset, each in enumerate(said)]
        self.since_ms: list[int | None] = []

    async def read_topic(
        self, _: Any, *names: str, since_ms: int | None = None
    ) -> AsyncGenerator[ConsumedRecord, None]:
        self.since_ms.append(since_ms)
        for each in self.messages:
            if each.topic in names:
                yield each

    async def held(self, _: Any, names: Any) -> dict[TopicPartition, range]:
        return {TopicPartition(each.topic, 0): range(9) for each in self.messages if each.topic in names}


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> PlayedKafka:
    monkeypatch.setenv("REASONMED_KAFKA__BOOTSTRAP", "played:1")
    played = PlayedKafka()
    monkeypatch.setattr("services.cli.watch.tap.read_topic", played.read_topic)
    monkeypatch.setattr("services.taps.load.read_topic", played.read_topic)
    monkeypatch.setattr("services.cli.watch.tap.held", played.held)
    return played


def run(*arguments: str) -> int:
    """The exit code."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_tap_prints_a_line_a_message(kafka: PlayedKafka, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    kafka.messages += [message(PATHS_VERIFIED, CASE, offset=7), ConsumedRecord(PATHS_VERIFIED, 0, 8, None, b"?", {})]
    assert run("tap", PATHS_VERIFIED) == 0
    lines = [orjson.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert [(line["offset"], "unreadable" in line) for line in lines] == [(1, False), (8, True)]


def test_tap_takes_what_is_asked_for(kafka: PlayedKafka, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    options = ("--where", "difficulty=medium", "--case", CASE.case_id, "--since", "2026-01-01", "--limit", "1")
    assert run("tap", PATHS_VERIFIED, *options) == 0
    assert len(capsysbinary.readouterr().out.splitlines()) == 1
    assert kafka.since_ms == [1_767_225_600_000], "Kafka is asked from then on"
    assert run("tap", PATHS_VERIFIED, "--where", "difficulty=easy") == 0
    assert capsysbinary.readouterr().out == b""


@pytest.mark.parametrize(
    "arguments",
    [["no-such-topic"], [PATHS_VERIFIED, "--where", "x"], [PATHS_VERIFIED, "--since", "soon"]],
    ids=["topic", "where", "since"],
)
def test_invalid_tap_options(kafka: PlayedKafka, arguments: list[str]) -> None:
    assert run("tap", *arguments) == 2
    assert kafka.since_ms == []


def test_a_missing_topic_is_reported(kafka: PlayedKafka, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("tap", "case-rejected") == 1
    assert "topics declare" in capsys.readouterr().err


def test_sql_over_topics(kafka: PlayedKafka, capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path) -> None:
    query = "SELECT difficulty, rounds, options[2] AS second, written_at FROM cases"
    assert run("sql", query, "--topics", "--json", "--folder", str(tmp_path)) == 0
    assert orjson.loads(capsysbinary.readouterr().out) == [
        {
            "difficulty": "medium",
            "rounds": 1,
            "second": {"letter": "B", "text": "Antibodies that stimulate the TSH receptor"},
            "written_at": "2026-01-01T00:00:00.002000",
        }
    ]


def test_sql_as_csv(kafka: PlayedKafka, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    query = "SELECT 'a,b' AS text, NULL AS nothing, [1, 2] AS list FROM models WHERE alias = 'qwen'"
    assert run("sql", query, "--topics", "--csv", "--folder", str(tmp_path)) == 0
    assert list(csv.reader(io.StringIO(capsys.readouterr().out))) == [["text", "nothing", "list"], ["a,b", "", "[1,2]"]]


def test_csv_lines_end_with_lf(kafka: PlayedKafka, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run("sql", "SELECT 1 AS a, MAP {1: 'x'} AS m", "--topics", "--csv", "--folder", str(tmp_path)) == 0
    assert capsys.readouterr().out == 'a,m\n1,"{""1"":""x""}"\n'


@pytest.mark.parametrize(
    ("query", "row"),
    [
        ("SELECT MAP {1: 'x', 2: 'y'} AS m", {"m": {"1": "x", "2": "y"}}),
        ("SELECT MAP {[1]: 'x'} AS m", {"m": {"key": [[1]], "value": ["x"]}}),
        ("SELECT 170141183460469231731687303715884105727 AS n", {"n": 170141183460469231731687303715884105727}),
        ("SELECT [1::HUGEINT << 70, NULL] AS n, 'nan'::DOUBLE AS x", {"n": [1 << 70, None], "x": None}),
        ("SELECT 1::HUGEINT << 70 AS n, TIMESTAMP '2026-01-01' AS t", {"n": 1 << 70, "t": "2026-01-01T00:00:00"}),
        ("SELECT 1 AS a, 2 AS a, 3 AS a_2, 4 AS a", {"a": 1, "a_3": 2, "a_2": 3, "a_4": 4}),
        ("SELECT '\\xFF'::BLOB AS b, 1.5::DECIMAL(38, 9) AS d", {"b": "b'\\xff'", "d": "1.500000000"}),
    ],
    ids=["map", "map of lists", "hugeint", "list", "time", "names", "blob"],
)
def test_json_has_every_value_of_every_column(
    query: str, row: dict[str, Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run("sql", query, "--json", "--dataset", str(tmp_path)) == 0
    assert json.loads(capsys.readouterr().out) == [row]
    for kind in ("--csv", ""):
        assert run("sql", query, *filter(None, [kind]), "--dataset", str(tmp_path)) == 0


def test_an_empty_query_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run("sql", "", "--dataset", str(tmp_path)) == 1
    assert "the query is empty" in capsys.readouterr().err


def test_sql_over_records_needs_no_kafka(capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path) -> None:
    assert run("sql", "SELECT record_id FROM records", "--json", "--dataset", str(tmp_path)) == 0
    assert capsysbinary.readouterr().out == b"[]\n"


def test_sql_says_what_is_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run("sql", "SELECT 1", "--folder", str(tmp_path)) == 1
    assert "--folder" in capsys.readouterr().err
    assert run("sql", "SELECT 1", "--dataset", str(tmp_path / "nowhere")) == 1
    assert "--dataset" in capsys.readouterr().err
    assert run("sql", "SELECT no_such_column FROM records", "--dataset", str(tmp_path)) == 1
    assert "no_such_column" in capsys.readouterr().err
    assert run("sql", "SELECT 1", "--csv", "--json", "--dataset", str(tmp_path)) == 2


def test_analyse_answers_and_says_how_to_read_it(kafka: PlayedKafka, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("analyse", "refinement") == 0
    said = capsys.readouterr().out
    assert "refined" in said
    assert "What refinement repairs" in said


def test_analyse_as_json(kafka: PlayedKafka, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run("analyse", "cost", "--json") == 0
    easy, whole = orjson.loads(capsysbinary.readouterr().out)
    assert (easy["difficulty"], easy["cases"], whole["difficulty"]) == ("medium", 1, "all")


def test_a_table_ends_somewhere(capsys: pytest.CaptureFixture[str]) -> None:
    printing.show(Result(["n"], iter([(number,) for number in range(printing.SHOWN + 1)])))
    said = capsys.readouterr()
    assert str(printing.SHOWN - 1) in said.out
    assert str(printing.SHOWN) not in said.out
    assert "--csv" in said.err


ENDLESS = """
import asyncio, signal
from services.cli.__main__ import main
from services.contracts.codec import encode
from services.protogen.examples import examples
from services.core.messages import ConsumedRecord
from services.cli.watch import tap

async def held(*_):
    return {"some": "offsets"}

async def follow_topic(*_, since_ms=None):
    for offset in range(MANY):
        yield ConsumedRecord("paths-verified", 0, offset, None, encode(examples()["case"]), {})
    await asyncio.Event().wait()

tap.held, tap.follow_topic = held, follow_topic
signal.signal(signal.SIGINT, signal.default_int_handler)  # where the parent ignores it, so would this process
main(["tap", "paths-verified", "--follow", "--repeats"])
"""


def followed(many: str) -> "subprocess.Popen[bytes]":
    script = ENDLESS.replace("MANY", many)
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_tap_ends_quietly_where_its_reader_has_seen_enough() -> None:
    with followed("10**9") as tapping:
        assert tapping.stdout is not None
        assert tapping.stdout.readline().startswith(b'{"topic"')
        tapping.stdout.close()
        assert tapping.wait() == 0
        assert tapping.stderr is not None
        assert tapping.stderr.read() == b""


def test_tap_prints_at_once_what_comes_and_ends_quietly_at_ctrl_c() -> None:
    with followed("1") as tapping:
        assert tapping.stdout is not None
        assert tapping.stdout.readline().startswith(b'{"topic"'), "though nothing more comes"
        tapping.send_signal(signal.SIGINT)
        assert tapping.wait() == INTERRUPTED
        assert tapping.stderr is not None
        assert tapping.stderr.read() == b""


@pytest.mark.parametrize(("width", "values"), [(200, 2), (40, 2), (20, 2), (20, 9)])
def test_no_heading_is_cut_off_however_narrow_the_terminal(
    width: int, values: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = [f"heading_{number}" for number in range(9)]
    monkeypatch.setattr(printing, "out", Console(width=width))
    printing.show(Result(columns, iter([(7_000 + row,) * 9 for row in range(values)])))
    text = capsys.readouterr().out
    assert all(name in text for name in columns)
    assert all(str(7_000 + row) in text for row in range(values))
