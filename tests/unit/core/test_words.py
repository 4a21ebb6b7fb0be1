"""Words for comparisons: markup and invisible characters change none, signs of numbers do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.question import Question
from services.core import ids
from services.core.dedupe.cleaning import cleaned
from services.core.dedupe.words import words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Na<sup>+</sup> &lt; 120 &amp; pH 7.2<br/>What?", "Na+ < 120 & pH 7.2 What?"),
        ("<p>Which <b>drug</b> is it?</p>", "Which drug is it?"),
        ("H<sub>2</sub>O", "H\u2082O"),
        ("&amp;alpha;-blocker", "α-blocker"),
        ("hyper\u00adten\u00adsion", "hypertension"),
        ("hyper\u200bten\u2060sion\ufeff", "hypertension"),
        ("exami-\nnation of the exami- \r\n  nation", "examination of the examination"),
        ("10\u2076 cells", "10^6 cells"),
        ("10<sup>6</sup> cells", "10\u2076 cells"),
        ("10<sup>-6</sup>", "10\u207b\u2076"),
        ("\u22125 mmol", "-5 mmol"),
        ("p < .05", "p < 0.05"),
    ],
)
def test_markup_and_invisible_characters_change_no_word(one: str, other: str) -> None:
    assert words(one) == words(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("-5", "5"), ("1.2", "1-2"), ("10\u2076", "106"), ("10\u207b\u2076", "10\u2076"), (".5", "5"), ("x < 5", "x 5")],
)
def test_signs_decimals_and_superscripts_are_kept(one: str, other: str) -> None:
    assert words(one) != words(other)


@pytest.mark.parametrize("text", ["p <a and b> c", "1 < 2 and 3 > 2", "a <- b", "R&D", "5-10 mg", "well-known"])
def test_text_that_only_looks_like_markup_stays(text: str) -> None:
    assert cleaned(text) == text


@given(st.text("<>&;sup/ab-\n^.\u00ad\u2076\u207b\u221205 \ue000\ue001\ue002"))
def test_words_of_words_are_the_same_words(text: str) -> None:
    assert words(" ".join(words(text))) == words(text)


def test_no_case_id_goes_by_the_words() -> None:
    one = Question(question="Which vitamin?", options={"A": "x", "B": "y"}, answer="A", id="1")
    other = Question(question="which\u00a0<b>vitamin</b>", options={"A": "x", "B": "y"}, answer="A", id="2")
    assert words(one.question) == words(other.question)
    assert ids.case_id(one) != ids.case_id(other)
