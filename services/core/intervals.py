"""Means, shares and paired differences with 95% confidence intervals. Pure.

Intervals of means are Student's t, clustered by question: several values of one question are much alike, so treating
them as independent would make intervals too narrow. A bootstrap gives the same result for the mean of bounded values
over dozens of questions, at thousands of times the cost and with a seed of its own. The intervals cover the sampling of
questions, not errors of the rater, or the variance of replies.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

QUESTIONS = 5
"""With fewer questions a mean has no interval: the series of `t` is then off by more than 1%, and an interval over half
of the scale is of no use."""

Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Mean:
    """A mean with its 95% confidence interval; None as bounds if there are too few questions."""

    mean: float
    low: float | None
    high: float | None


def mean(values: Iterable[tuple[str, float]], *, least: float, most: float) -> Mean | None:
    """The mean of (question, value) pairs; None if there are none. Values are from `least` to `most`.

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
    return Mean(middle, max(least, middle - reach), min(most, middle + reach))


def share(right: int, of: int) -> Mean | None:
    """A share of independent questions, with Wilson's interval; None of nothing."""
    if of == 0:
        return None
    middle = (right + Z * Z / 2) / (of + Z * Z)
    reach = Z * math.sqrt(right * (of - right) / of + Z * Z / 4) / (of + Z * Z)
    return Mean(right / of, max(0.0, middle - reach), min(1.0, middle + reach))


def paired_share(only_first: int, only_second: int, of: int) -> Mean | None:
    """The difference of two shares over the same questions, first minus second, from the questions that only one of
    them has right. Agresti and Min's interval (2005), which has a width even where no question differs."""
    if of == 0:
        return None
    shrunk = (only_first - only_second) / (of + 2)
    reach = Z * math.sqrt(only_first + only_second + 1 - (only_first - only_second) ** 2 / (of + 2)) / (of + 2)
    return Mean((only_first - only_second) / of, max(-1.0, shrunk - reach), min(1.0, shrunk + reach))


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p of McNemar's test: how likely so uneven a split is where both are equally good."""
    differ = only_first + only_second
    tail = sum(math.comb(differ, count) for count in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail / 2.0**differ)


def paired_mean(differences: Sequence[tuple[str, float]]) -> Mean | None:
    """The mean of differences by question, each from -1 to 1."""
    return mean(differences, least=-1.0, most=1.0)


def t(freedom: int) -> float:
    """Student's t at 97.5%, by the series in the normal quantile (Abramowitz and Stegun, 26.7.5)."""
    terms = (
        Z,
        (Z**3 + Z) / 4,
        (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96,
        (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384,
    )
    return sum(term / float(freedom) ** power for power, term in enumerate(terms))
