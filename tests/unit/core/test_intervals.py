"""Means, shares and differences, held against textbooks' tables and against what sampling does."""

import math
import random
import statistics
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.intervals import Mean, mcnemar, mean, paired_share, share, t


def rated(values: Iterable[tuple[str, float]]) -> Mean | None:
    """On a scale from 1 to 10."""
    return mean(values, least=1, most=10)


ratings = st.floats(1, 10)


@pytest.mark.parametrize(("freedom", "table"), [(4, 2.776), (9, 2.262), (29, 2.045), (99, 1.984), (1_000, 1.962)])
def test_t_is_the_tables(freedom: int, table: float) -> None:
    assert t(freedom) == pytest.approx(table, rel=0.003)


@given(st.lists(ratings, min_size=5, max_size=40))
def test_one_value_a_question_gives_the_textbooks_interval(values: list[float]) -> None:
    found = rated((str(number), value) for number, value in enumerate(values))
    reach = t(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    middle = statistics.fmean(values)
    assert found is not None
    assert found.mean == pytest.approx(middle)
    assert found.low == pytest.approx(max(1, middle - reach), abs=1e-6)
    assert found.high == pytest.approx(min(10, middle + reach), abs=1e-6)


@given(st.lists(ratings, min_size=5, max_size=20))
def test_to_count_each_question_twice_makes_no_interval_narrower(values: list[float]) -> None:
    once = rated((str(number), value) for number, value in enumerate(values))
    twice = rated((str(number // 2), value) for number, value in enumerate(value for value in values for _ in range(2)))
    assert once is not None
    assert twice is not None
    for name in ("mean", "low", "high"):
        assert getattr(twice, name) == pytest.approx(getattr(once, name), abs=1e-6)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """1,000 seeded samples of 40 questions with one or two records, alike within a question."""
    chance, held = random.Random(7), 0
    for _ in range(1_000):
        values = []
        for question in range(40):
            level = chance.gauss(6, 1)
            values += [(str(question), level + chance.gauss(0, 0.3)) for _ in range(1 + question % 2)]
        found = rated(values)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 6 <= found.high
    assert 930 <= held <= 970


def test_few_questions_have_no_interval_and_nothing_has_no_mean() -> None:
    assert rated([("a", 4.0), ("a", 6.0), ("b", 8.0), ("c", 2.0), ("d", 5.0)]) == Mean(5.0, None, None)
    assert rated([]) is None


def test_a_share_has_wilsons_interval() -> None:
    found = share(14, 50)
    assert found is not None
    assert (found.mean, round(found.low or 0, 4), round(found.high or 0, 4)) == (0.28, 0.1747, 0.4167)
    assert share(0, 0) is None
    none, every = share(0, 10), share(10, 10)
    assert none is not None
    assert every is not None
    assert (none.low, round(none.high or 0, 3)) == (0.0, 0.278)
    assert (round(every.low or 0, 3), round(every.high or 0, 9)) == (0.722, 1.0)


def test_mcnemar_is_the_exact_test() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0
    assert mcnemar(0, 6) == mcnemar(6, 0) == 2 / 2**6
    assert mcnemar(1, 7) == 2 * (1 + 8) / 2**8


def test_the_interval_of_a_difference_holds_the_truth_as_often_as_it_says() -> None:
    """1,000 seeded pairs of models over 60 questions: 15% only the first has right, 5% only the second."""
    chance, held = random.Random(3), 0
    for _ in range(1_000):
        drawn = [chance.random() for _ in range(60)]
        found = paired_share(sum(one < 0.15 for one in drawn), sum(one > 0.95 for one in drawn), 60)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.10 <= found.high
    assert 930 <= held <= 985


def test_no_difference_is_no_proof_of_equality() -> None:
    found = paired_share(0, 0, 20)
    assert found is not None
    assert found.mean == 0
    assert found.low is not None
    assert found.high is not None
    assert -0.1 < found.low < -0.05 < 0.05 < found.high < 0.1
    assert paired_share(0, 0, 0) is None
