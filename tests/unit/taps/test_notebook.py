"""The notebook runs, and what it shows is what its cells print."""

import json
from typing import Any

import pytest

from services.taps.analyses import NAMES, about
from tests.unit.taps.make_sample import SAMPLE
from tests.unit.taps.notebook import NOTEBOOK, executed

COMMITTED = json.loads(NOTEBOOK.read_text())


def printed(notebook: Any) -> list[str]:
    return ["".join(output["text"]) for cell in notebook["cells"] for output in cell.get("outputs", ())]


def test_the_notebook_outputs_are_current() -> None:
    """Where this fails and the new answers are right: python -m tests.unit.taps.notebook."""
    assert printed(executed(COMMITTED)) == printed(COMMITTED)


@pytest.mark.parametrize("name", NAMES)
def test_it_shows_every_analysis(name: str) -> None:
    assert any(text.startswith(about(name)) for text in printed(COMMITTED))


def test_the_sample_is_small() -> None:
    assert SAMPLE.stat().st_size < 300_000
