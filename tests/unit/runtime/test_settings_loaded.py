"""A service's settings: an invalid or unknown one ends it with a sentence that names it and never its value."""

import os

import pytest

from services.exporter.settings import ExporterSettings
from services.gateway.settings import GatewaySettings
from services.router.settings import RouterSettings
from services.runtime.process.settings import ELSEWHERE, IN_A_POD, Settings, loaded


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("REASONMED_") or name == IN_A_POD:
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("REASONMED_CASES", "abc-secret", "cases: Input should be a valid integer"),
        ("REASONMED_CASES", "0", "cases: Input should be greater than or equal to 1"),
        ("REASONMED_CASE", "3", "REASONMED_CASE is no setting: did you mean REASONMED_CASES?"),
        ("REASONMED_DRAIN_SECONDS", "3", "did you mean REASONMED_DRAIN_S?"),
        ("REASONMED_XYZZY", "3", "REASONMED_XYZZY is no setting; see --help"),
        ("reasonmed_ledgr", "3", "did you mean REASONMED_LEDGER?"),
        ("REASONMED_MODELS__qwen__base_urll", "http://abc-secret", "base_urll"),
        (IN_A_POD, "10.0.0.1", "REASONMED_LEDGER is not set: each pod would have a ledger of its own"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        loaded(Settings)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert "abc-secret" not in error
    assert error.count("\n") == 1


def test_one_environment_serves_all_services(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REASONMED_ADMISSION__NEAR_DUPLICATES", "0.85")
    monkeypatch.setenv("REASONMED_EXPORT__OUT", "/tmp/dataset")
    monkeypatch.setenv("REASONMED_GATEWAY__KEYS", '["0123456789abcdef"]')
    monkeypatch.setenv("REASONMED_LEDGER", "valkey://h:1/0")
    monkeypatch.setenv(IN_A_POD, "10.0.0.1")
    for cls in (Settings, RouterSettings, ExporterSettings, GatewaySettings):
        assert loaded(cls).ledger.get_secret_value() == "valkey://h:1/0"


def test_settings_of_single_services_are_known_to_all() -> None:
    own = {name.upper() for cls in (RouterSettings, ExporterSettings, GatewaySettings) for name in cls.model_fields}
    assert own - {name.upper() for name in Settings.model_fields} <= ELSEWHERE
