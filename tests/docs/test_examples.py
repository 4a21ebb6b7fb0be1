"""Run every example of the docs, in the order of the pages, against one scripted stack."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.examples import Reader, examples

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = (
    "quickstart", "questions", "recipes", "datasets", "watch", "analyses", "budget", "test-sets", "operations",
    "train", "worth",
)  # fmt: skip
NOT_RUN = 23
"""Number of examples that are not run, each with its reason. Change it on purpose only."""


@pytest.fixture
def reader(tmp_path: Path, gateway_port_taken: None) -> Iterator[Reader]:
    made = Reader(tmp_path)
    yield made
    made.kill()


@pytest.mark.timeout(400)
def test_the_examples_of_every_page_give_the_expected_output(reader: Reader) -> None:
    wrong = [problem for page in PAGES for each in examples(DOCS / f"{page}.md") if (problem := reader.follow(each))]
    assert not wrong, "\n\n".join(wrong)
    assert reader.leave() == [0]


def test_examples_that_are_not_run_give_a_reason() -> None:
    every = [each for page in PAGES for each in examples(DOCS / f"{page}.md")]
    assert {each.language for each in every} == {"sh", "python"}
    reasons = [each.not_run for each in every if each.not_run is not None]
    assert all(reasons)
    assert len(reasons) == NOT_RUN
    assert all(each.expected for each in every if each.mark == "until")
