"""Every example of the docs is run, in the order of the pages, against one scripted stack."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.examples import Reader, examples

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = (
    "quickstart", "questions", "recipes", "datasets", "watch", "analyses", "budget", "test-sets", "operations"
)  # fmt: skip
NOT_RUN = 14
"""Examples that can't be run here, each with its reason: one more is to be noticed."""


@pytest.fixture
def reader(tmp_path: Path, gateway_port_taken: None) -> Iterator[Reader]:
    made = Reader(tmp_path)
    yield made
    made.kill()


@pytest.mark.timeout(1200)
def test_the_examples_of_every_page_do_what_the_page_says(reader: Reader) -> None:
    wrong = [said for page in PAGES for each in examples(DOCS / f"{page}.md") if (said := reader.follow(each))]
    assert not wrong, "\n\n".join(wrong)
    assert reader.leave() == [0]


def test_what_is_not_run_says_why_and_is_counted() -> None:
    every = [each for page in PAGES for each in examples(DOCS / f"{page}.md")]
    assert {each.language for each in every} == {"sh", "python"}
    reasons = [each.not_run for each in every if each.not_run is not None]
    assert all(reasons)
    assert len(reasons) == NOT_RUN
    assert all(each.gist for each in every if each.mark == "until")
