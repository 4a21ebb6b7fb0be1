"""An exported answer states its letter once, on its last line, as the project's own reader reads it."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.question import Question
from services.core.case.answers import stated
from services.datasets.answers import answer_text, chain_text, think_text, without_answer
from services.datasets.names import Variant
from tests.strategies import questions

QUESTION = Question(question="Which one?", options={"A": "this", "B": "that"}, answer="B")
LINES = st.sampled_from(
    [
        "Final answer: B",
        "**Final answer:** B. that",
        "final answer: A pulse may be felt",
        "Reasoning.",
        "",
        '"answer": "A"',
    ]
)
TEXTS = st.one_of(st.text(max_size=200), st.lists(LINES, max_size=6).map("\n".join))


@pytest.mark.parametrize("variant", get_args(Variant))
@given(chain=TEXTS, summary=TEXTS, question=questions())
def test_every_answer_is_read_as_the_gold_letter(
    variant: Variant, chain: str, summary: str, question: Question
) -> None:
    text = answer_text(variant, chain, summary, question)
    assert stated(text, question) == question.answer
    assert [line for line in text.splitlines() if stated(line, question)][:-1] == stated_in_json(text, question)
    assert stated(think_text(chain, summary, question), question) == question.answer


def stated_in_json(text: str, question: Question) -> list[str]:
    """Lines that state an answer in a JSON field: they are the writer's own and stay."""
    return [line for line in text.splitlines()[:-1] if '"answer"' in line and stated(line, question)]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Because.\nFinal answer: B", "Because."),
        ("Because.\n\n**Final answer: B. that**\n", "Because."),
        ("Final answer: B\nNow the reasons.", "Now the reasons."),
        ("First.\nFinal answer: A pulse may be felt\nLast.", "First.\nFinal answer: A pulse may be felt\nLast."),
        ("Because.\nFinal answer: B (that one)", "Because."),
        ("Final answer: B", ""),
    ],
)
def test_lines_that_state_an_answer_go(text: str, left: str) -> None:
    assert without_answer(text, QUESTION) == left


def test_reasonmed_is_chain_then_summary_then_the_line() -> None:
    text = answer_text("ReasonMed", "Chain.\nFinal answer: B", "Summary.\nFinal answer: B. that", QUESTION)
    assert text == "Chain.\n\nSummary.\n\nFinal answer: B"


def test_a_chain_that_states_nothing_gets_no_line() -> None:
    assert chain_text("Chain.", QUESTION, None) == "Chain."
    assert chain_text("Chain.\nFinal answer: A", QUESTION, "A") == "Chain.\n\nFinal answer: A"
