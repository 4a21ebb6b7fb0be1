"""What a small real model writes when nothing constrains it: 500 replies of one run of bench_verdicts.py."""

from pathlib import Path

import pytest

from tests.bench.bench_verdicts import Kind, counts_of, holds, read, saved

REPLIES = saved(Path(__file__).parents[2] / "data" / "judge_replies.jsonl.gz")


def test_no_reply_breaks_the_reader_or_becomes_what_it_does_not_say() -> None:
    """The counts are those of these replies: a reader that is changed shows here what it reads more, or less."""
    verdicts = {"replies": 250, "crashed": 0, "read": 43, "repaired": 4, "unjudged": 207, "not_held": 0}
    scores = {"replies": 250, "crashed": 0, "read": 47, "repaired": 26, "unjudged": 203, "not_held": 0}
    assert counts_of(REPLIES) == {"verdict": verdicts, "score": scores}


def test_a_reply_that_is_cut_off_anywhere_says_the_same_or_nothing() -> None:
    for kind, text in REPLIES:
        whole = read(kind, text)
        if whole is not None:
            assert {read(kind, text[:end]) for end in range(len(text))} <= {whole, None}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("verdict", '{"verdict": "Error"}', "correct"),
        ("verdict", '{"verdict": "Correct", Verdict: "Error"}', "correct"),
        ("verdict", '{"verdict": "Correct or Error"}', "correct"),
        ("verdict", '{"verdict": "Incorrect"}', "correct"),
        ("verdict", "It is Correct.", "correct"),
        ("score", '{"score": 3 or 4}', 3),
        ("score", '{"score": 3}\nscore: 4', 3),
        ("score", '{"score": 3.5}', 3),
        ("score", '{"score": 13}', 3),
    ],
)
def test_the_independent_look_finds_what_is_not_held(kind: Kind, text: str, value: str | int) -> None:
    assert not holds(kind, text, value)
