"""The latest figures as Prometheus metrics. Every monitor exports the same figures of the whole stream: use `max` over
them."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.core.status.figures import Figures
from services.monitor.handler import Seen

Values = Mapping[tuple[str, ...], float | None]


class FiguresMetrics(Collector):
    """Before the first figures, only the counts of this process."""

    def __init__(self, seen: Seen, figures: Callable[[], Figures | None]) -> None:
        self._seen = seen
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        """Called by prometheus_client at each scrape."""
        unreadable = CounterMetricFamily(
            "reasonmed_monitor_unreadable", "Messages that could not be parsed into case events."
        )
        unreadable.add_metric([], self._seen.unreadable)
        yield unreadable
        if (figures := self._figures()) is not None:
            yield from _of_cases(figures)
            yield from _of_money(figures)


def _of_cases(latest: Figures) -> Iterable[Metric]:
    topics = {(each.topic,): each for each in latest.topics}
    yield _gauge("figures_timestamp_seconds", "Time of these figures, in Unix time.", {(): latest.at})
    yield _gauge("behind_seconds", "Age of the last message when it was read.", {(): latest.behind_s})
    # Gauges, because cases move on, and a redrive reopens a case.
    yield _gauge("cases_open", "Open cases by topic.", {k: each.open for k, each in topics.items()}, "topic")
    ends: Values = {(end,): count for end, count in latest.ends.model_dump().items()}
    yield _gauge("cases_ended", "Ended cases, by outcome.", ends, "end")
    yield _gauge("cases_routed", "Cases by difficulty.", {(k,): n for k, n in latest.routes.items()}, "difficulty")
    oldest: Values = {k: each.oldest_s for k, each in topics.items()}
    yield _gauge("oldest_seconds", "Time that the oldest open case has been at a topic.", oldest, "topic")
    lags: Values = {(each.topic, group): n for each in latest.topics for group, n in each.lag.items()}
    yield _gauge("group_lag_offsets", "Messages that a group has not committed.", lags, "topic", "group")
    seen: Values = {k: each.seen for k, each in topics.items()}
    yield _count("messages", "Messages of a topic, without repeats.", seen, "topic")
    refused: Values = {(k,): n for k, n in latest.refused.items()}
    yield _count("questions_refused", "Questions refused at admission, each counted once.", refused, "reason")
    yield _count("questions_duplicate", "Repeated submissions of a question.", {(): latest.duplicates})
    yield _gauge("dead_letters", "Dead letters in Kafka.", {(k,): n for k, n in latest.dead_letters.items()}, "topic")


def _of_money(latest: Figures) -> Iterable[Metric]:
    kinds = {(each.difficulty, each.alias): each for each in latest.records}
    counts: Values = {k: each.records for k, each in kinds.items()}
    yield _count("records", "Records, by difficulty and writing model.", counts, "difficulty", "alias")
    costs: Values = {k: each.usd for k, each in kinds.items()}
    yield _count("records_usd", "Cost of these records, in USD.", costs, "difficulty", "alias")
    paid = {(each.alias, each.stage): each for each in latest.spent}
    yield _count("spent_usd", "Cost of calls, in USD.", {k: e.usd for k, e in paid.items()}, "alias", "stage")
    yield _count(
        "paid_calls", "Paid calls, each counted once.", {k: e.calls for k, e in paid.items()}, "alias", "stage"
    )
    tokens: dict[tuple[str, ...], float] = {}
    for key, each in paid.items():
        tokens |= {(*key, "in"): each.tokens_in, (*key, "cached"): each.tokens_cached, (*key, "out"): each.tokens_out}
    yield _count("paid_tokens", "Tokens of paid calls; in includes cached.", tokens, "alias", "stage", "kind")
    under_way: Values = {(k,): n for k, n in latest.calls_under_way.items()}
    yield _gauge("calls_under_way", "Calls with a live lease.", under_way, "service")
    if latest.budget is not None:
        yield _gauge("budget_usd", "The budget at which admission stops.", {(): latest.budget.usd})
        yield _gauge(
            "budget_reserved_usd", "The expected remaining cost of open cases.", {(): latest.budget.reserved_usd}
        )
        yield _gauge("budget_stopped", "1 while questions wait for a larger budget.", {(): latest.budget.stopped})


def _gauge(name: str, text: str, values: Values, *labels: str) -> Metric:
    return _filled(GaugeMetricFamily(f"reasonmed_stream_{name}", text, labels=labels), values)


def _count(name: str, text: str, values: Values, *labels: str) -> Metric:
    return _filled(CounterMetricFamily(f"reasonmed_stream_{name}", text, labels=labels), values)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, values: Values) -> Metric:
    for key, value in values.items():
        if value is not None:
            family.add_metric(key, value)
    return family
