"""Questions that aren't worth a model call are refused or flagged."""

import pytest

from services.contracts.question import Question
from services.importers.quality import check
from services.importers.rows import Unfit


def question(stem: str = "Which?", a: str = "x", b: str = "y", c: str = "z", answer: str = "A") -> Question:
    return Question(question=stem, options={"A": a, "B": b, "C": c}, answer=answer)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (question(stem="\u00a0"), "blank"),
        (question(stem="<p></p>"), "blank"),
        (question(b="\u200b"), "blank"),
        (question(b="&nbsp;"), "blank"),
        (question(b="x"), "correct replies"),
        (question(b=" <i>x</i>\u00ad"), "correct replies"),
        (question(stem="What is it? <image>"), "image"),
        (question(stem="What is it? ![](a.png)"), "image"),
        (question(b="nan"), "missing value"),
        (question(b="N/A", c="None"), "missing value"),
        (question(stem="a\0b"), "NUL"),
    ],
)
def test_unusable_questions_are_rejected(asked: Question, why: str) -> None:
    with pytest.raises(Unfit, match=why):
        check(asked)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (question(b="z"), "two wrong options"),
        (question(stem="The lesion is shown in the photograph. What is it?"), "mentions an image"),
        (question(stem="What does Figure A show?"), "mentions an image"),
    ],
)
def test_suspicious_questions_are_flagged(asked: Question, why: str) -> None:
    assert why in (check(asked) or "")


@pytest.mark.parametrize(
    "asked",
    [
        question(),
        question(a="AA", b="Aa", c="aa"),
        question(a="-5", b="5"),
        question(b="None"),
        question(a="None of these"),
        question(stem="p < 0.05 & n > 3 in an image of self?"),
        question(stem="Which figure of speech?"),
        question(a="10\u2076", b="106"),
    ],
)
def test_a_question_like_others_passes(asked: Question) -> None:
    assert check(asked) is None
