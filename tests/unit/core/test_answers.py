"""What a text states as its answer: precision before recall."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.case.answers import final_answer, mentions_given_answer, stated
from tests.strategies import QUESTION, texts

DATA = Path(__file__).parents[4] / "shared" / "data"


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("So it is C.\n\nFinal answer: C", "C"),
        ("Final answer: C.", "C"),
        ("**Final answer:** C", "C"),
        ("**Final Answer: C**", "C"),
        ("## FINAL ANSWER: (C)", "C"),
        ("Final answer： C", "C"),
        ("Final answer: C. Vitamin C", "C"),
        ("Final answer: C) vitamin  c", "C"),
        ("Final answer: C\n\n  ", "C"),
        ("Final answer: A\nNo.\nFinal answer: B", "B"),
        ('{"reasoning": "...", "answer": "C"}', "C"),
        ('{"final_answer": "C. Vitamin C"}', "C"),
        ('{"answer_choice": "(C)"}', "C"),
        ('{"answer": "C"} and again {"answer": "C"}', "C"),
        ("The answer is C.", "C"),
        ("Final answer: C\nI hope this helps.", "C"),
        ("Final answer: c", "C"),
        ("Final answer: Vitamin C", "C"),
        ("My final answer: C", "C"),
        # another letter is stated too, or none is
        ("", None),
        ("C", None),
        ("Final answer: C or D", None),
        ("Final answer: C, not D", None),
        ("Final answer: C. Vitamin D", None),
        ("Final answer: CD", None),
        ("Final answer: a vitamin", None),
        ("Final answer: E", None),
        ("Final answer:", None),
        ("The final answer: X", None),
        ('{"answer": "C"} {"answer": "D"}', None),
        ('{"answer": "C or D"}', None),
        ('{"answers": "C"}', None),
        ('{"answer": "C"}\nFinal answer: C or D', None),
    ],
)
def test_stated(text: str, letter: str | None) -> None:
    assert stated(text, QUESTION) == letter


@given(reasoning=texts, letter=st.sampled_from("ABCD"), dots=st.sampled_from(["", ".", "**", " "]))
def test_the_required_last_line_is_always_read(reasoning: str, letter: str, dots: str) -> None:
    assert stated(f"{reasoning}\nFinal answer: {letter}{dots}", QUESTION) == letter


@given(text=st.text() | st.text(' \n"{}:.*ABCDEabcdefinalansweroption', max_size=60))
def test_a_stated_answer_is_an_option(text: str) -> None:
    letter = stated(text, QUESTION)
    assert letter is None or letter in QUESTION.options


@given(one=st.sampled_from("ABCD"), other=st.sampled_from("ABCD"))
def test_two_answers_are_none(one: str, other: str) -> None:
    assert stated(f'{{"answer": "{one}"}} {{"answer": "{other}"}}', QUESTION) == (one if one == other else None)


@pytest.mark.parametrize(
    "text",
    [
        "Since the gold answer is C, we reason backwards.",
        "This agrees with the reference answer.",
        "The answer provided to me is C.",
        "As the given answer says, C.",
        "I was told the correct answer.",
        "According to the answer key, C.",
    ],
)
def test_a_text_that_gives_itself_away(text: str) -> None:
    assert mentions_given_answer(text)


@pytest.mark.parametrize(
    "text",
    [
        "CT is the gold standard. Final answer: C",
        "The patient was given vitamin C and answers questions slowly.",
        "None of the provided answer choices fits well; of the given answer options, C is the closest.",
        "The reference range of TSH is 0.4 to 4; the answer is C.",
    ],
)
def test_a_text_that_does_not(text: str) -> None:
    assert not mentions_given_answer(text)


def lines(name: str) -> list[dict[str, Any]]:
    with gzip.open(DATA / name, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.mark.skipif(not DATA.exists(), reason="the recordings are not here")
def test_real_answers_are_read_right_or_not_at_all() -> None:
    """Against the recordings: of 22,531 with a known choice, no letter is read wrongly, and nearly all are read."""
    options = {row["id"]: row["options"] for row in lines("questions.jsonl.gz")}
    recordings = [row for row in lines("recordings.jsonl.gz") if row["choice"] is not None]
    read = [(final_answer(row["text"], options[row["question_id"]]).option, row["choice"]) for row in recordings]
    assert len(read) == 22_531
    assert [(letter, choice) for letter, choice in read if letter not in (None, choice)] == []
    assert sum(letter is not None for letter, _ in read) / len(read) > 0.98
