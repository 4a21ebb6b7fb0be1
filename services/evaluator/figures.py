"""Means with confidence intervals. Pure.

The intervals are Student's t at 95%, clustered by question: the two records of a case share a question and are much
alike, so treating them as independent would make intervals too narrow. A bootstrap gives the same result for the mean
of bounded ratings over dozens of questions, at thousands of times the cost and with a seed of its own. The intervals
cover the sampling of questions. They do not cover errors of the evaluator, or the variance of its replies.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from services.core.ledger.calls import Reply
from services.evaluator.handler import VARIANTS, Judgement
from services.evaluator.replies import CRITERIA, LEAST, MOST, Rated

QUESTIONS = 5
"""With fewer questions there is no interval: the series of `t` is then off by more than 1%, and an interval over half
of the scale is of no use."""


@dataclass(frozen=True)
class Mean:
    """A mean with its 95% confidence interval; None as bounds if there are too few questions."""

    mean: float
    low: float | None
    high: float | None


def mean(values: Iterable[tuple[str, float]]) -> Mean | None:
    """The mean of (question, value) pairs; None if there are none.

    The standard error is the ratio estimator's, from the summed deviations of each question.
    """
    by_question: defaultdict[str, list[float]] = defaultdict(list)
    for question, value in values:
        by_question[question].append(value)
    count, questions = sum(map(len, by_question.values())), len(by_question)
    if count == 0:
        return None
    middle = math.fsum(map(math.fsum, by_question.values())) / count
    if questions < QUESTIONS:
        return Mean(middle, None, None)
    deviations = (math.fsum(value - middle for value in own) for own in by_question.values())
    error = math.sqrt(questions / (questions - 1) * math.fsum(d * d for d in deviations)) / count
    reach = t(questions - 1) * error
    return Mean(middle, max(LEAST, middle - reach), min(MOST, middle + reach))


def t(freedom: int) -> float:
    """Student's t at 97.5%, by the series in the normal quantile (Abramowitz and Stegun, 26.7.5)."""
    z = NormalDist().inv_cdf(0.975)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return sum(term / float(freedom) ** power for power, term in enumerate(terms))


def groups(judgements: Sequence[Judgement]) -> list[dict[str, Any]]:
    """The figures of each variant: over all records, by difficulty, and by the model that wrote the chain of
    thought."""
    found = []
    for variant in VARIANTS:
        own = [judgement for judgement in judgements if judgement.variant == variant]
        found.append({"variant": variant, "by": "all", "of": "all", **_figures(own)})
        for by in ("difficulty", "model"):
            for of in sorted({getattr(judgement.item, by) for judgement in own}):
                part = [judgement for judgement in own if getattr(judgement.item, by) == of]
                found.append({"variant": variant, "by": by, "of": of, **_figures(part)})
    return found


def tokens(judgements: Sequence[Judgement]) -> dict[str, int]:
    """Calls and tokens of all requests, including replies that were already in the ledger and permanent failures."""
    answers = {answer.request.call_id: answer for one in judgements for answer in one.reading.answers}.values()
    usages = [answer.outcome.usage for answer in answers]
    return {
        "calls": len(answers),
        "failed": sum(not isinstance(answer.outcome, Reply) for answer in answers),
        "in": sum(usage.prompt for usage in usages),
        "out": sum(usage.completion for usage in usages),
        "cached": sum(usage.cached for usage in usages),
    }


def _figures(judgements: Sequence[Judgement]) -> dict[str, Any]:
    read = [(one.item.case_id, one.reading.value) for one in judgements if one.reading.value is not None]
    return {
        "records": len(judgements),
        "questions": len({judgement.item.case_id for judgement in judgements}),
        "unread": len(judgements) - len(read),
        "overall": _rounded(mean((case_id, value.overall) for case_id, value in read)),
        **{criterion: _rounded(_criterion(read, criterion)) for criterion in CRITERIA},
    }


def _criterion(read: Sequence[tuple[str, Rated]], criterion: str) -> Mean | None:
    return mean((case_id, value.ratings[criterion]) for case_id, value in read)


def _rounded(found: Mean | None) -> dict[str, float | None]:
    """Rounded to three decimals: finer than the standard error of a sample of ten thousand."""
    if found is None:
        return {"mean": None, "low": None, "high": None}
    bounds = {"mean": found.mean, "low": found.low, "high": found.high}
    return {name: None if value is None else round(value, 3) for name, value in bounds.items()}
