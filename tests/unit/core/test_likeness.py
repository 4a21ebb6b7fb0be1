"""MinHash: near-duplicates are found, others are not, and a question always gives the same MinHash."""

import random
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.contracts.question import Question
from services.core.dedupe.minhash import WHOLE, Known, Sketch, resemblance
from services.core.dedupe.near_duplicates import PAIR, candidate, sketch
from services.core.dedupe.words import option_grams, stem_grams, text_digest, words

WORDS = st.text("abcdefgh", min_size=2, max_size=6)
STEMS = st.lists(WORDS, min_size=1, max_size=60)
OPTIONS = st.lists(st.lists(WORDS, min_size=1, max_size=4), min_size=2, max_size=6)
VIGNETTE = """
A 34-year-old woman comes to the physician because of fatigue and a weight gain of six kilograms over the past four
months despite a reduced appetite. She feels cold all the time, her hair has become brittle, and her voice is hoarse.
She takes no medication. Her pulse is 54/min and her blood pressure is 130/95 mm Hg. Examination shows dry skin,
nonpitting edema of both legs, and delayed relaxation of the deep tendon reflexes. Laboratory studies show a raised
thyroid-stimulating hormone and a low free thyroxine. Which of the following is the most likely diagnosis?
"""
DIAGNOSES = ["Hashimoto thyroiditis", "Graves disease", "Subacute thyroiditis", "Papillary carcinoma"]


def question(stem: str, options: list[str], **more: object) -> Question:
    return Question.model_validate(
        {"question": stem, "options": dict(zip("ABCDEF", options, strict=False)), "answer": "A", **more}
    )


def similarity(one: Question, other: Question) -> float:
    """By their sketches; 0 where no band is shared: then nobody would look."""
    first, second = sketch(one), sketch(other)
    if not set(first.bands) & set(second.bands):
        return 0.0
    return resemblance(first.signature, second.signature)


def jaccard(one: Question, other: Question) -> float:
    first, second = (stem_grams(q, PAIR) | option_grams(q, PAIR) for q in (one, other))
    return len(first & second) / len(first | second)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Which  of the\nfollowing?", "which of the following"),
        ("STRASSE, ﬁbrosis", "straße fibrosis"),
        ("e\u0301clampsia – 5 µg", "éclampsia 5 μg"),
        ("β-lactam (oral)", "Β lactam, oral"),
    ],
)
def test_case_punctuation_space_and_unicode_s_ways_don_t_count(one: str, other: str) -> None:
    assert words(one) == words(other)


@pytest.mark.parametrize(("one", "other"), [("pH < 7.35", "pH > 7.35"), ("Rh+", "Rh−"), ("K ↑", "K ↓"), ("?", "!")])
def test_signs_that_are_no_punctuation_do(one: str, other: str) -> None:
    assert words(one) != words(other)


def test_scripts_without_spaces_have_words_too() -> None:
    assert words("高血压 is 高血压") == ["高", "血", "压", "is", "高", "血", "压"]


@given(st.text(min_size=1), st.data())
def test_words_of_words_are_the_same_words(text: str, data: st.DataObject) -> None:
    assert words(" ".join(words(text))) == words(text)


@given(STEMS, OPTIONS, st.randoms(use_true_random=False))
def test_the_same_but_for_case_punctuation_and_the_options_order_is_the_same(
    stem: list[str], options: list[list[str]], seeded: random.Random
) -> None:
    said = [" ".join(option) for option in options]
    one = question(" ".join(stem), said)
    other = question(", ".join(stem).upper() + "?", [f"{text.title()}." for text in seeded.sample(said, len(said))])
    assert similarity(one, other) == 1.0
    assert text_digest(one) == text_digest(other)


@given(STEMS, STEMS, OPTIONS)
def test_the_estimate_is_close_to_the_share_in_common(
    one: list[str], other: list[str], options: list[list[str]]
) -> None:
    """Within five standard errors: the options are the same, the stems share what they begin with."""
    said = [" ".join(option) for option in options]
    first, second = question(" ".join(one), said), question(" ".join([*one, *other]), said)
    estimate = resemblance(sketch(first).signature, sketch(second).signature)
    truth = jaccard(first, second)
    assert abs(estimate - truth) <= 5 * (truth * (1 - truth) / WHOLE) ** 0.5 + 1 / WHOLE


@settings(max_examples=30)
@given(st.randoms(use_true_random=False))
def test_a_few_words_of_a_stem_changed_is_found(seeded: random.Random) -> None:
    changed = VIGNETTE.split()
    for place in seeded.sample(range(len(changed)), 3):
        changed[place] = "otherwise"
    assert similarity(question(VIGNETTE, DIAGNOSES), question(" ".join(changed), DIAGNOSES)) >= 0.75


@given(st.sets(WORDS, min_size=30, max_size=60), st.integers(5, 25))
def test_questions_without_common_words_are_never_compared(vocabulary: set[str], cut: int) -> None:
    ordered = sorted(vocabulary)
    one, other = ordered[:cut], [f"{word}x" for word in ordered[cut:]]
    assert similarity(question(" ".join(one), one[:4]), question(" ".join(other), other[:4])) == 0.0


@pytest.mark.parametrize("stem", ["Which of the following is true?", VIGNETTE])
def test_the_same_stem_with_other_options_is_another_question(stem: str) -> None:
    others = ["Start levothyroxine", "Order an ultrasound", "Measure cortisol", "Reassure her"]
    assert similarity(question(stem, DIAGNOSES), question(stem, others)) == 0.0


def test_one_option_of_four_replaced_is_the_same_question_still() -> None:
    assert similarity(question(VIGNETTE, DIAGNOSES), question(VIGNETTE, [*DIAGNOSES[:3], "Riedel thyroiditis"])) > 0.9


def test_only_questions_with_the_same_context_are_alike() -> None:
    stem, options = "Does the drug lower mortality?", ["yes", "no", "maybe"]
    one = question(stem, options, context=["An abstract."])
    assert similarity(one, question(stem, options, context=["an abstract"])) == 1.0
    assert similarity(one, question(stem, options, context=["Another abstract."])) == 0.0
    assert similarity(one, question(stem, options)) == 0.0


def test_gold_does_not_count() -> None:
    assert sketch(question(VIGNETTE, DIAGNOSES, answer="B")) == sketch(question(VIGNETTE, DIAGNOSES))


def test_a_candidate_matches_from_its_threshold_on() -> None:
    asked = question(VIGNETTE, DIAGNOSES)
    known = Known("case-1", sketch(asked).signature, "medqa:1", "A 34…")
    changed = candidate("case-2", question(VIGNETTE.replace("six", "7"), DIAGNOSES), 0.8)
    match = known.match(changed)
    assert match is not None
    assert (match.where, match.id) == ("case-1", "medqa:1")
    assert known.match(replace(changed, threshold=match.similarity)) == match
    assert known.match(replace(changed, threshold=match.similarity + 0.001)) is None


def test_the_sketches_in_the_ledgers_stay_comparable() -> None:
    """For example by another version of the library. A change would forget every admitted question."""
    made = sketch(question(VIGNETTE, DIAGNOSES))
    assert isinstance(made, Sketch)
    assert sha256(made.signature).hexdigest()[:16] == "0682437d1dc5863d"
    assert sha256(str(made.bands).encode()).hexdigest()[:16] == "f415510542d22bba"
