"""The figures for Prometheus: read from the latest when they are asked for. Every monitor says the same."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.core.figures import Figures
from services.monitor.handler import Seen

Values = Mapping[tuple[str, ...], float | None]


class FiguresMetrics(Collector):
    """Nothing before the first figures but what this process has read itself."""

    def __init__(self, seen: Seen, figures: Callable[[], Figures | None]) -> None:
        self._seen = seen
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        """As prometheus_client asks for it at each scrape."""
        unreadable = CounterMetricFamily("reasonmed_monitor_unreadable", "Messages that told nothing of a case.")
        unreadable.add_metric([], self._seen.unreadable)
        yield unreadable
        if (figures := self._figures()) is not None:
            yield from _of_cases(figures)
            yield from _of_money(figures)


def _of_cases(said: Figures) -> Iterable[Metric]:
    by_topic = {(each.topic,): each for each in said.topics}
    yield _gauge("figures_timestamp_seconds", "When these figures were made.", {(): said.at})
    yield _gauge(
        "monitor_behind_seconds", "From the writing of the last message read to its reading.", {(): said.behind_s}
    )
    yield _gauge("cases_open", "Cases that stand here.", {k: each.open for k, each in by_topic.items()}, "topic")
    oldest: Values = {k: each.oldest_s for k, each in by_topic.items()}
    yield _gauge("oldest_seconds", "How long the longest-standing of them is here.", oldest, "topic")
    yield _gauge(
        "topic_messages", "Messages seen, repeats left out.", {k: e.seen for k, e in by_topic.items()}, "topic"
    )
    rates: Values = {k: each.per_minute for k, each in by_topic.items()}
    yield _gauge("topic_messages_per_minute", "Of these, those of the last 60 seconds.", rates, "topic")
    lags: Values = {(each.topic, group): n for each in said.topics for group, n in each.lag.items()}
    yield _gauge("group_lag", "Messages not committed.", lags, "topic", "group")
    ends: Values = {(end,): count for end, count in said.ends.model_dump().items()}
    yield _gauge("cases_ended", "Ended cases.", ends, "end")
    yield _gauge("cases_routed", "Cases by difficulty.", {(k,): n for k, n in said.routes.items()}, "difficulty")
    yield _gauge("questions_refused", "Refused questions.", {(k,): n for k, n in said.refused.items()}, "reason")
    yield _gauge("questions_duplicate", "Submissions dropped as duplicates.", {(): said.duplicates})
    yield _gauge("dead_letters", "Dead letters held.", {(k,): n for k, n in said.dead_letters.items()}, "topic")


def _of_money(said: Figures) -> Iterable[Metric]:
    kinds = {(each.difficulty, each.alias): each for each in said.records}
    yield _gauge("records", "Records.", {k: each.records for k, each in kinds.items()}, "difficulty", "alias")
    yield _gauge("records_usd", "Their whole cost.", {k: each.usd for k, each in kinds.items()}, "difficulty", "alias")
    calls = {(each.alias, each.stage): each for each in said.spent}
    yield _gauge("spent_usd", "What finished calls cost.", {k: e.usd for k, e in calls.items()}, "alias", "stage")
    yield _gauge("spent_calls", "Finished calls.", {k: e.calls for k, e in calls.items()}, "alias", "stage")
    yield _gauge("tokens_per_second", "Tokens written by models.", {(): said.tokens_per_s})
    yield _gauge("leases", "Calls under way.", {(k,): n for k, n in said.calls_under_way.items()}, "service")
    if said.budget is not None:
        yield _gauge("budget_usd", "The sum at which admission stops.", {(): said.budget.usd})
        yield _gauge("budget_reserved_usd", "What open cases will probably cost.", {(): said.budget.reserved_usd})
        yield _gauge("budget_stopped", "1 while questions wait for it.", {(): said.budget.stopped})


def _gauge(name: str, text: str, values: Values, *labels: str) -> Metric:
    family = GaugeMetricFamily(f"reasonmed_{name}", text, labels=labels)
    for key, value in values.items():
        if value is not None:
            family.add_metric(key, value)
    return family
