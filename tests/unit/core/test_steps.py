"""The numbering of steps: a partition of the text, blind to the amount of white space, linear, and as a reader's."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.case.steps import MOST_STEPS, numbered, step_ends, steps

FOLDER = Path(__file__).parents[3]
RECORDINGS = FOLDER.parent / "shared" / "data" / "recordings.jsonl.gz"
LABELS = FOLDER / "tests" / "data" / "labelled_steps.jsonl"

WORDS = st.one_of(
    st.sampled_from(
        [
            "It",
            "is",
            "low.",
            "Then",
            "A.",
            "a)",
            "2.",
            "-",
            "##",
            "**Key**",
            "options:",
            "e.g.",
            "S.",
            "pH",
            "…",
            "是。然",
            "i.v.",
        ]
    ),
    st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=5).filter(
        lambda word: word.split() == [word]
    ),
)
SPACES = st.text(" \t\u00a0\u3000", min_size=1, max_size=4)
BREAKS = st.tuples(SPACES | st.just(""), st.sampled_from(["\n", "\r\n", "\n\n", "\u2028"]), SPACES | st.just("")).map(
    "".join
)


def of(text: str) -> list[str]:
    return steps(text, step_ends(text))


@given(st.text(max_size=300) | st.lists(WORDS | SPACES | BREAKS, max_size=60).map("".join))
def test_every_character_is_in_exactly_one_step(text: str) -> None:
    found = of(text)
    assert "".join(found) == text
    assert all(found)
    assert len(found) <= MOST_STEPS


@given(st.data(), st.lists(WORDS, min_size=1, max_size=40))
def test_the_amount_of_white_space_moves_no_step(data: st.DataObject, words: list[str]) -> None:
    broken = data.draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words)))
    texts = [
        "".join(word + data.draw(BREAKS if ends else SPACES) for word, ends in zip(words, broken, strict=True))
        for _ in "ab"
    ]
    one, other = (data.draw(st.sampled_from(["", " ", "\n"])) + text for text in texts)
    assert [step.split() for step in of(one)] == [step.split() for step in of(other)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  \n", ["  \n"]),
        ("One. Two? Three!", ["One. ", "Two? ", "Three!"]),
        (
            "It is 3.5 mg, i.e. less. So B.\n\nFinal answer: B",
            ["It is 3.5 mg, i.e. less. ", "So B.\n\n", "Final answer: B"],
        ),
        ("## 6. Conclusion\nIt is C. Renal failure follows.", ["## 6. Conclusion\nIt is C. Renal failure follows."]),
        ("**Findings**\n- fever\n- cough\n", ["**Findings**\n- fever\n", "- cough\n"]),
        ("See each:\n\nA. Lung: no. B. Heart: yes.", ["See each:\n\nA. Lung: no. ", "B. Heart: yes."]),
        ("1. First one. 2. Second one.", ["1. First one. ", "2. Second one."]),
        ("As follows\na. wet\nb. soap", ["As follows\n", "a. wet\n", "b. soap"]),
        ("A line that\nis wrapped ends\nhere. Next.", ["A line that\nis wrapped ends\nhere. ", "Next."]),
        ('He said "no." Then E. coli grew.', ['He said "no." ', "Then E. coli grew."]),
        ("发热是感染。所以选B。\n答案：B", ["发热是感染。", "所以选B。\n", "答案：B"]),
        ("---\nOnly this.", ["---\nOnly this."]),
    ],
)
def test_a_step_is_a_sentence_or_an_item_with_its_heading(text: str, expected: list[str]) -> None:
    assert of(text) == expected


@pytest.mark.parametrize(
    "part", ["A. ", "## ", "x.", "**", ":\n", "。", "\n", " ", "(" * 50 + "a. ", "e.g. ", "- \r", "1. a. "]
)
def test_a_hostile_text_is_read_in_linear_time(part: str) -> None:
    text = part * (1_000_000 // len(part))
    assert "".join(of(text)) == text


def test_each_line_for_the_judge_begins_with_its_own_number() -> None:
    text = "[7] One.\n[9] Two\n\n[1] in [2]. Three."
    assert numbered(text, step_ends(text)).splitlines() == [
        "[1] [7] One.",
        "[2] [9] Two",
        "[3] [1] in [2].",
        "[4] Three.",
    ]


@pytest.mark.skipif(not RECORDINGS.exists(), reason="the recordings are not on this machine")
def test_the_numbering_is_that_of_a_reader_on_thirty_recordings() -> None:
    """Labelled by hand before the function was written. Steps begin where a label says, in 30 of 30."""
    with gzip.open(RECORDINGS, "rt", encoding="utf-8") as file:
        texts = {(row["question_id"], row["model"], row["method"]): row["text"] for row in map(json.loads, file)}
    labels = [json.loads(line) for line in LABELS.read_text(encoding="utf-8").splitlines()]
    agree = sum(
        [0, *step_ends(texts[label["question_id"], label["model"], label["method"]])[:-1]] == label["starts"]
        for label in labels
    )
    assert (agree, len(labels)) == (30, 30)
