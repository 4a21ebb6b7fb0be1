"""The latest figures for Prometheus, read at each scrape. Every monitor exports the same of the whole stream: take
the max of them."""

from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from services.core.status.figures import Figures, Scale
from services.monitor.handler import Seen
from services.runtime.metric_names import MetricName

Values = Mapping[tuple[str, ...], float | None]


class FiguresMetrics(Collector):
    """Before the first figures, only this process's own counts."""

    def __init__(self, seen: Seen, figures: Callable[[], Figures | None]) -> None:
        self._seen = seen
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        """As prometheus_client asks for it at each scrape."""
        unreadable = CounterMetricFamily(MetricName.MONITOR_UNREADABLE, "Messages that hold no event of a case.")
        unreadable.add_metric([], self._seen.unreadable)
        yield unreadable
        if (figures := self._figures()) is not None:
            yield from _of_cases(figures)
            yield from _of_money(figures)


def _of_cases(figures: Figures) -> Iterable[Metric]:
    topics = {(each.topic,): each for each in figures.topics}
    yield _gauge(
        MetricName.STREAM_FIGURES_TIMESTAMP_SECONDS, "When these figures were made, in Unix time.", {(): figures.at}
    )
    yield _gauge(
        MetricName.STREAM_BEHIND_SECONDS,
        "From the writing of the last message read to its reading.",
        {(): figures.behind_s},
    )
    # Cases move on, and a redrive takes one out of its end: gauges.
    opened: Values = {k: each.open for k, each in topics.items()}
    yield _gauge(MetricName.STREAM_CASES_OPEN, "Open cases, by the topic they are at.", opened, "topic")
    yield _case_seconds(figures)
    ends: Values = {(end,): count for end, count in figures.ends.model_dump().items()}
    yield _gauge(MetricName.STREAM_CASES_ENDED, "Ended cases, by end.", ends, "end")
    yield _gauge(
        MetricName.STREAM_CASES_ROUTED,
        "Cases by difficulty.",
        {(k,): n for k, n in figures.routes.items()},
        "difficulty",
    )
    oldest: Values = {k: each.oldest_s for k, each in topics.items()}
    yield _gauge(
        MetricName.STREAM_OLDEST_SECONDS, "Age of the oldest open case at a topic, in seconds.", oldest, "topic"
    )
    lags: Values = {(each.topic, group): n for each in figures.topics for group, n in each.lag.items()}
    yield _gauge(
        MetricName.STREAM_GROUP_LAG_OFFSETS, "Messages that a group has not committed.", lags, "topic", "group"
    )
    scale = figures.scale or Scale(at=figures.at, groups={}, models={})
    left: Values = {(group,): each.left for group, each in scale.groups.items()}
    yield _gauge(MetricName.STREAM_GROUP_LEFT, "Messages that a group has not finished.", left, "group")
    wanted: Values = {(alias,): each.wanted for alias, each in scale.models.items()}
    yield _gauge(
        MetricName.STREAM_CALLS_WANTED, "Calls that the messages left for a model's stages make.", wanted, "alias"
    )
    ahead: Values = {(alias,): each.ahead for alias, each in scale.models.items()}
    yield _gauge(MetricName.STREAM_CALLS_AHEAD, "Calls that open cases are expected to make later.", ahead, "alias")
    seen: Values = {k: each.seen for k, each in topics.items()}
    yield _count(MetricName.STREAM_MESSAGES, "Messages of a topic, repeats left out.", seen, "topic")
    refused: Values = {(k,): n for k, n in figures.refused.items()}
    yield _count(MetricName.STREAM_QUESTIONS_REFUSED, "Questions refused at admission, each once.", refused, "reason")
    yield _count(
        MetricName.STREAM_QUESTIONS_DUPLICATE,
        "Submissions of a question that had come before.",
        {(): figures.duplicates},
    )
    yield _gauge(
        MetricName.STREAM_DEAD_LETTERS,
        "Dead letters that Kafka holds.",
        {(k,): n for k, n in figures.dead_letters.items()},
        "topic",
    )


def _case_seconds(figures: Figures) -> Metric:
    text = "Seconds from a question to the end of its case. A redriven case counts again at its next end."
    family = HistogramMetricFamily(MetricName.STREAM_CASE_SECONDS, text, labels=["difficulty"])
    for each in figures.case_seconds:
        counts = list(accumulate(each.buckets.values()))
        family.add_metric([each.difficulty or "none"], list(zip(each.buckets, counts, strict=True)), each.seconds)
    return family


def _of_money(figures: Figures) -> Iterable[Metric]:
    kinds = {(each.difficulty, each.alias): each for each in figures.records}
    counts: Values = {k: each.records for k, each in kinds.items()}
    yield _count(MetricName.STREAM_RECORDS, "Records, by difficulty and writing model.", counts, "difficulty", "alias")
    costs: Values = {k: each.usd for k, each in kinds.items()}
    yield _count(MetricName.STREAM_RECORDS_USD, "What these records cost, in USD.", costs, "difficulty", "alias")
    paid = {(each.alias, each.stage): each for each in figures.spent}
    yield _count(
        MetricName.STREAM_SPENT_USD,
        "What calls have cost, in USD.",
        {k: e.usd for k, e in paid.items()},
        "alias",
        "stage",
    )
    yield _count(
        MetricName.STREAM_PAID_CALLS, "Paid calls, each once.", {k: e.calls for k, e in paid.items()}, "alias", "stage"
    )
    tokens: dict[tuple[str, ...], float] = {}
    for key, each in paid.items():
        tokens |= {(*key, "in"): each.tokens_in, (*key, "cached"): each.tokens_cached, (*key, "out"): each.tokens_out}
    yield _count(
        MetricName.STREAM_PAID_TOKENS, "Their tokens; cached ones are in ones too.", tokens, "alias", "stage", "kind"
    )
    spared = {(each.by, each.stage): each for each in figures.spared}
    help_ = "Calls that were not paid for, by what spared them: sampling, judging, or remembered by the ledger."
    yield _count(MetricName.STREAM_SPARED_CALLS, help_, {k: e.calls for k, e in spared.items()}, "by", "stage")
    help_ = "About what these calls would have cost, in USD."
    yield _count(MetricName.STREAM_SPARED_USD, help_, {k: e.usd for k, e in spared.items()}, "by", "stage")
    judged: dict[tuple[str, ...], float] = {}
    for model in figures.agreement:
        judged |= {
            (model.alias, "gold", "correct"): model.gold - model.gold_in_error,
            (model.alias, "gold", "error"): model.gold_in_error,
            (model.alias, "other", "correct"): model.other_correct,
            (model.alias, "other", "error"): model.other - model.other_correct,
        }
    help_ = "Judged paths of ended cases, by writing model, the answer that they state, and the judge's verdict."
    yield _count(MetricName.STREAM_JUDGED_PATHS, help_, judged, "alias", "stated", "judged")
    under_way: Values = {(k,): n for k, n in figures.calls_under_way.items()}
    yield _gauge(MetricName.STREAM_CALLS_UNDER_WAY, "Calls with a live lease.", under_way, "service")
    if figures.budget is not None:
        yield _gauge(
            MetricName.STREAM_BUDGET_USD, "The budget's limit, at which admission stops.", {(): figures.budget.usd}
        )
        yield _gauge(
            MetricName.STREAM_BUDGET_RESERVED_USD,
            "Expected cost of open cases.",
            {(): figures.budget.reserved_usd},
        )
        yield _gauge(
            MetricName.STREAM_BUDGET_STOPPED,
            "1 while questions wait for a larger budget.",
            {(): figures.budget.stopped},
        )


def _gauge(name: MetricName, text: str, values: Values, *labels: str) -> Metric:
    return _filled(GaugeMetricFamily(name, text, labels=labels), values)


def _count(name: MetricName, text: str, values: Values, *labels: str) -> Metric:
    return _filled(CounterMetricFamily(name, text, labels=labels), values)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, values: Values) -> Metric:
    for key, value in values.items():
        if value is not None:
            family.add_metric(key, value)
    return family
