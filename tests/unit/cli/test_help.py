"""`--help` teaches: each command says what it does and shows an example; each option says what it is."""

import re
import shlex
from typing import Any

import pytest
import typer

from services.cli.__main__ import app
from services.exporter.settings import ExporterSettings
from services.gateway.settings import GatewaySettings
from services.router.settings import RouterSettings
from services.runtime.process.settings import Settings
from services.runtime.process.settings_help import exit_on_arguments, settings_of, usage

EXAMPLE = re.compile(r"Example:\s+(reasonmed .*)$", re.MULTILINE)


ROOT: Any = typer.main.get_command(app)
EVERY: dict[tuple[str, ...], Any] = dict(ROOT.load())
COMMANDS = {words: command for words, command in EVERY.items() if not hasattr(command, "commands")}


def examples_of(command: Any) -> list[str]:
    """The whole command lines, without what they are piped into."""
    return [re.split(r" [|>] ", line)[0] for line in EXAMPLE.findall(command.help)]


def test_every_command_and_group_has_help() -> None:
    assert len(COMMANDS) >= 25
    assert not [words for words, command in EVERY.items() if not command.help]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_an_example_that_is_its_own(words: tuple[str, ...]) -> None:
    lines = examples_of(COMMANDS[words])
    assert lines
    assert all(tuple(shlex.split(line)[1 : 1 + len(words)]) == words for line in lines)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_option_and_argument_has_help(words: tuple[str, ...]) -> None:
    assert not [parameter.name for parameter in COMMANDS[words].params if not parameter.help]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_example_parses(words: tuple[str, ...]) -> None:
    for line in examples_of(COMMANDS[words]):
        # Parsed as typed, and not run: that it does what it says is shown by tests of its own.
        COMMANDS[words].make_context(" ".join(words), shlex.split(line)[1 + len(words) :])


def test_an_example_with_a_wrong_option_would_be_found() -> None:
    with pytest.raises(Exception, match="--nonesuch"):
        COMMANDS[("status",)].make_context("status", ["--nonesuch"])


@pytest.mark.parametrize("cls", [Settings, GatewaySettings, RouterSettings, ExporterSettings])
def test_help_lists_every_setting_of_a_service(cls: type[Settings], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        exit_on_arguments("router", cls, ["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert all(f"  {each.name}" in said for each in settings_of(cls))
    assert not [each.name for each in settings_of(cls) if not each.meaning]


def test_every_listed_setting_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {each.name for each in settings_of(RouterSettings)}
    given = {"REASONMED_KAFKA__BOOTSTRAP": "one:1", "REASONMED_ADMISSION__NEAR_DUPLICATES": "0.9"}
    assert given.keys() <= names
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    read = RouterSettings()
    assert (read.kafka.bootstrap, read.admission.near_duplicates) == ("one:1", 0.9)


def test_help_lists_topics_and_no_secret() -> None:
    said = usage("router", RouterSettings)
    assert "reads question-submitted" in said
    assert "writes case-medium" in said
    assert "SecretStr" not in said


def test_a_service_without_help_starts() -> None:
    exit_on_arguments("router", RouterSettings, [])


def test_a_service_refuses_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        exit_on_arguments("router", RouterSettings, ["--prot", "8080"])
    assert ended.value.code == 2
    assert "unknown argument --prot" in capsys.readouterr().err
