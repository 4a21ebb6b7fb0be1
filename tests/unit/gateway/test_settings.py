"""API keys, from the environment."""

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsError

from services.gateway.settings import GatewaySettings

NAME = "REASONMED_GATEWAY__KEYS"


def test_none_are_set() -> None:
    assert GatewaySettings().gateway.keys == ()


def test_keys_are_a_list_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, '["0123456789abcdef", "a-key/of+the~other_kind=="]')
    settings = GatewaySettings()
    assert [key.get_secret_value() for key in settings.gateway.keys][1] == "a-key/of+the~other_kind=="
    assert "0123456789abcdef" not in repr(settings)


@pytest.mark.parametrize("value", ["", '[""]', '["short-secret"]', '["with a blank in-secret"]', '"secret"'])
def test_an_invalid_key_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(NAME, value)
    with pytest.raises(ValidationError) as caught:
        GatewaySettings()
    assert "keys" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_invalid_json_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "a-bare-secret-of-many-characters")
    with pytest.raises(SettingsError) as caught:
        GatewaySettings()
    assert "secret" not in str(caught.value)
