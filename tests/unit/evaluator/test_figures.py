"""Means and intervals, held against the textbook's table and against what sampling does."""

import math
import random
import statistics
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.case import Usage
from services.core.case.asking import Reading
from services.core.ledger.calls import Reply
from services.evaluator.evaluation import load
from services.evaluator.figures import Mean, groups, mean, t, tokens
from services.evaluator.handler import VARIANTS, Judgement, evaluate
from services.evaluator.replies import CRITERIA, Rated
from services.evaluator.sample import Item
from services.llm.fake import ScriptedModels

ratings = st.floats(1, 10)


@pytest.mark.parametrize(("freedom", "table"), [(4, 2.776), (9, 2.262), (29, 2.045), (99, 1.984), (1_000, 1.962)])
def test_t_is_the_tables(freedom: int, table: float) -> None:
    assert t(freedom) == pytest.approx(table, rel=0.003)


@given(st.lists(ratings, min_size=5, max_size=40))
def test_one_value_a_question_gives_the_textbooks_interval(values: list[float]) -> None:
    found = mean((str(number), value) for number, value in enumerate(values))
    reach = t(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    middle = statistics.fmean(values)
    assert found is not None
    assert found.mean == pytest.approx(middle)
    assert found.low == pytest.approx(max(1, middle - reach), abs=1e-6)
    assert found.high == pytest.approx(min(10, middle + reach), abs=1e-6)


@given(st.lists(ratings, min_size=5, max_size=20))
def test_to_count_each_question_twice_makes_no_interval_narrower(values: list[float]) -> None:
    once = mean((str(number), value) for number, value in enumerate(values))
    twice = mean((str(number // 2), value) for number, value in enumerate(value for value in values for _ in range(2)))
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
        found = mean(values)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 6 <= found.high
    assert 930 <= held <= 970


def test_few_questions_have_no_interval_and_nothing_has_no_mean() -> None:
    assert mean([("a", 4.0), ("a", 6.0), ("b", 8.0), ("c", 2.0), ("d", 5.0)]) == Mean(5.0, None, None)
    assert mean([]) is None


def test_figures_stand_by_variant_difficulty_and_model_and_what_was_not_read_is_in_no_mean(
    item_of: Callable[..., Item],
) -> None:
    def judged(number: int, variant: str, value: int | None, **of: str) -> Judgement:
        rated = None if value is None else Rated(dict.fromkeys(CRITERIA, value), "")
        return Judgement(item_of(number, **of), variant, Reading(rated, "", ()))

    judgements = [judged(number, variant, 6 + number % 2) for number in range(10) for variant in VARIANTS]
    judgements += [judged(10, "CoTMed", None, difficulty="difficult"), judged(11, "CoTMed", 1, model="other@1")]
    found = {(group["variant"], group["by"], group["of"]): group for group in groups(judgements)}

    whole = found["CoTMed", "all", "all"]
    assert (whole["records"], whole["questions"], whole["unread"]) == (12, 12, 1)
    assert whole["overall"]["mean"] == whole["logic"]["mean"] == round(66 / 11, 3)
    assert found["CoTMed", "difficulty", "difficult"]["overall"] == {"mean": None, "low": None, "high": None}
    assert found["CoTMed", "model", "other@1"]["overall"] == {"mean": 1.0, "low": None, "high": None}
    assert found["ResponseMed", "all", "all"]["overall"]["mean"] == 6.5
    assert ("ResponseMed", "model", "other@1") not in found


async def test_tokens_are_those_of_every_ask(item_of: Callable[..., Item]) -> None:
    models = ScriptedModels(lambda request: Reply("unclear", "stop", Usage(prompt=10, completion=4, cached=3)))
    judgements = await evaluate([item_of(1)], load(), models, at_once=1)
    assert tokens(judgements) == {"calls": 9, "failed": 0, "in": 90, "out": 36, "cached": 27}
