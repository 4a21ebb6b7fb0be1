"""Evaluation sets: their questions are found, others are not; and what is no index is refused."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.question import Question
from services.core.dedupe.evaluation_file import MAGIC, dump, load, read
from services.core.dedupe.evaluation_index import Entry, EvaluationIndex, build
from services.core.errors import BadIndex

LONG = (
    "A 4-year-old boy is brought to the emergency department because of a barking cough and noisy breathing for one "
    "day. He had a runny nose before. His temperature is 38.1 C. There is inspiratory stridor when he cries, none at "
    "rest. Which of the following is the most appropriate next step in the management of this patient?"
)
STEPS = ["Oral dexamethasone", "Intubation", "Chest x-ray", "Ceftriaxone"]


def question(stem: str, options: list[str]) -> Question:
    return Question(question=stem, options=dict(zip("ABCDE", options, strict=False)), answer="A")


CROUP = question(LONG, STEPS)
SCURVY = question("Which vitamin is deficient in scurvy?", ["Vitamin A", "Vitamin B1", "Vitamin C", "Vitamin D"])
TRIAL = question("Is the drug better than placebo?", ["yes", "no", "maybe"])


@pytest.fixture(scope="module")
def index() -> EvaluationIndex:
    asked = {"croup": CROUP, "scurvy": SCURVY, "trial": TRIAL, "again": SCURVY}
    return load(dump(build((Entry("test.jsonl", name, q.question), q) for name, q in asked.items())))


def test_the_same_words_are_an_exact_match(index: EvaluationIndex) -> None:
    for name, asked in (("croup", CROUP), ("scurvy", SCURVY), ("trial", TRIAL)):
        shuffled = question(f"  {asked.question.upper()} ", list(asked.options.values())[::-1])
        match = index.find(shuffled)
        assert match is not None
        assert (match.where, match.id, match.text, match.similarity) == ("test.jsonl", name, asked.question, 1.0)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (question(LONG, [*STEPS, "Albuterol"]), True),  # five options instead of four
        (question(LONG, ["a", "b"]), True),  # the set's text, whatever is asked of it
        (question(f"Read this. {LONG} Take your time.", STEPS), True),
        (question(LONG.replace("4-year-old", "5-year-old").replace("38.1", "38.4"), STEPS), True),
        (question(LONG[: len(LONG) // 2], STEPS), False),
        (question("Which vitamin is deficient in beriberi?", list(SCURVY.options.values())), False),
        (question("Is the drug better than surgery?", ["yes", "no", "maybe"]), False),
        (question(SCURVY.question, ["Iron", "Zinc"]), False),
    ],
)
def test_seven_tenths_of_a_question_are_a_match(index: EvaluationIndex, asked: Question, found: bool) -> None:
    match = index.find(asked)
    assert (match is not None) == found
    if match is not None:
        assert match.id == "croup"
        assert 0.7 <= match.similarity <= 1


WORD = st.text("abcdef", min_size=1, max_size=5)


@given(st.lists(st.lists(WORD, min_size=1, max_size=40), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_every_question_of_the_sets_is_found_exactly(stems: list[list[str]], seeded: random.Random) -> None:
    asked = [
        question(" ".join(stem), ["yes", "no", "it depends on the patient's age and on nothing else"]) for stem in stems
    ]
    made = build((Entry("set", str(number), q.question), q) for number, q in enumerate(asked))
    match = made.find(seeded.choice(asked))
    assert match is not None
    assert match.similarity == 1.0


@given(st.binary(max_size=4), st.data())
def test_damaged_truncated_and_foreign_files_are_refused(noise: bytes, data: st.DataObject) -> None:
    whole = dump(build([(Entry("set", "1", "x"), CROUP)]))
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = [whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], whole + b"x", noise]
    for each in damaged:
        with pytest.raises(BadIndex, match="reasonmed index"):
            load(each)


def test_an_error_names_the_file(tmp_path) -> None:
    with pytest.raises(BadIndex, match="no-such"):
        read(tmp_path / "no-such")
    foreign = tmp_path / "questions.jsonl"
    foreign.write_text("{}")
    with pytest.raises(BadIndex, match=r"questions\.jsonl is not an evaluation index"):
        read(foreign)
    other = tmp_path / "newer"
    other.write_bytes(MAGIC + b"\x09\x00" + 32 * b"x")
    with pytest.raises(BadIndex, match="has version 9"):
        read(other)
