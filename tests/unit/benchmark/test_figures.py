"""Accuracy, votes and differences: what is not stated is wrong, and a tie is no majority."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.benchmark.asking import Answered, Candidate, Item, request
from services.benchmark.figures import groups, majority, usage
from services.benchmark.report import CannotCompare, against, report
from services.benchmark.subset import subset
from services.contracts.case import Usage
from services.core.ledger.calls import Answer, Failure, Reply

Answers = Callable[[Item, Sequence[str | None]], Answered]


@pytest.fixture
def answered(candidate: Callable[..., Candidate]) -> Answers:
    """A question whose samples state these letters; "-" is a failed call."""

    def make(item: Item, letters: Sequence[str | None]) -> Answered:
        answers = []
        for sample, letter in enumerate(letters):
            asked = request(item.question, candidate(samples=len(letters)), sample)
            text = "Unsure." if letter is None else f"Final answer: {letter}"
            used = Usage(prompt=10, completion=5)
            answers.append(Answer(asked, Failure("refused") if letter == "-" else Reply(text, "stop", used)))
        return Answered(item, tuple(answers))

    return make


def test_figures_are_by_set_and_subject(item: Callable[..., Item], answered: Answers) -> None:
    made: list[Answered] = [
        answered(item(1, "medqa"), ["B"]),
        answered(item(2, "medqa"), [None]),
        answered(item(3, "mmlu", "anatomy"), ["A"]),
        answered(item(4, "mmlu", "virology"), ["-"]),
    ]
    found = {(group["set"], group["subject"]): group for group in groups(made)}
    assert set(found) == {("all", "all"), ("medqa", "all"), ("mmlu", "all"), ("mmlu", "anatomy"), ("mmlu", "virology")}
    whole = found["all", "all"]
    assert (whole["questions"], whole["accuracy"]["mean"], whole["stated"], whole["failed"]) == (4, 0.25, 0.5, 1)
    assert whole["accuracy"] == {"mean": 0.25, "low": 0.0456, "high": 0.6994}  # Wilson's
    assert found["medqa", "all"]["accuracy"]["mean"] == 0.5


def test_samples_give_a_mean_votes_and_any(item: Callable[..., Item], answered: Answers) -> None:
    letters: list[list[str | None]] = [
        ["B", "B", "C"],
        ["B", "C", None],
        ["C", "C", "B"],
        [None, None, None],
        ["B", None, None],
    ]
    (whole, *_) = groups([answered(item(number), each) for number, each in enumerate(letters)])
    assert whole["accuracy"]["mean"] == round((2 + 1 + 1 + 0 + 1) / 15, 4)
    assert whole["maj@3"]["mean"] == 2 / 5
    assert whole["pass@3"]["mean"] == 4 / 5


@given(st.lists(st.sampled_from(["A", "B", "C", None]), max_size=8))
def test_a_majority_is_stated_more_often_than_any_other(letters: list[str | None]) -> None:
    chosen = majority(letters)
    counts = {letter: letters.count(letter) for letter in "ABC"}
    best = max(counts.values())
    assert (chosen is not None) == (best > 0 and list(counts.values()).count(best) == 1)
    assert chosen is None or counts[chosen] == best


def test_usage_is_of_all_answers_at_the_models_prices(
    item: Callable[..., Item], answered: Answers, candidate: Callable[..., Candidate]
) -> None:
    made = [answered(item(1), ["B", "C"]), answered(item(2), ["-", None])]
    found = usage(made, candidate().model)
    assert found == {"calls": 4, "tokens_in": 30, "tokens_out": 15, "cost_usd": 3e-05}


def _report(made: Sequence[Answered], candidate: Candidate) -> dict[str, object]:
    return report(made, candidate, {})


def test_two_models_are_compared_question_by_question(
    item: Callable[..., Item], answered: Answers, candidate: Callable[..., Candidate]
) -> None:
    items = [item(number) for number in range(12)]
    one = _report([answered(each, ["B"]) for each in items[:10]], candidate())
    other = _report([answered(each, ["C" if at % 2 else "B"]) for at, each in enumerate(items[2:])], candidate())
    found = against(one, other)
    assert (found["only_here"], found["only_there"]) == (2, 2)
    (whole, medqa) = found["differences"]
    assert (whole["questions"], whole["only_this_right"], whole["only_other_right"]) == (8, 4, 0)
    assert whole["difference"]["mean"] == 0.5
    assert whole["mcnemar_p"] == 0.125
    assert medqa["difference"] == whole["difference"]

    with pytest.raises(CannotCompare, match="no question in common"):
        against(one, _report([answered(item(99), ["B"])], candidate()))
    with pytest.raises(CannotCompare, match="no report"):
        against(one, {"answers": [{}]})


def test_a_subset_has_the_shares_of_sets_and_subjects_and_is_the_same_for_a_seed(item: Callable[..., Item]) -> None:
    items = [item(n, "medqa") for n in range(60)]
    items += [item(n + 60, "mmlu", ("anatomy", "virology")[n % 2]) for n in range(40)]
    drawn = subset(items, 10, 1)
    assert [(each.set, each.subject) for each in drawn].count(("medqa", "")) == 6
    assert [(each.set, each.subject) for each in drawn].count(("mmlu", "anatomy")) == 2
    assert drawn == subset(list(reversed(items)), 10, 1)[::-1] != subset(items, 10, 2)
    assert subset(items, 1000, 1) == items
