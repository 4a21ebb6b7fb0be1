"""Fixtures of the command line's tests."""

import pytest

from services.deadletters import survey as dead_letters
from tests.unit.cli.dead_letters import Broker, Sink


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    made = Broker()
    for name in ("held", "read_topic", "read_range"):
        monkeypatch.setattr(dead_letters, name, getattr(made, name))
    monkeypatch.setattr(dead_letters, "KafkaSink", lambda _: Sink(made))
    return made
