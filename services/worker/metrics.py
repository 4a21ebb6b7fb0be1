"""Metrics of a worker's model calls, in Prometheus' names: read from the dispatcher at each scrape."""

from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from services.llm.dispatcher import Dispatcher
from services.llm.stats import CALL_SECONDS
from services.runtime.metric_names import MetricName

L = TypeVar("L", bound=str)

Family = type[CounterMetricFamily] | type[GaugeMetricFamily]


class ModelMetrics(Collector):
    """One worker's model calls, with the label `service`, and `alias` where it applies."""

    def __init__(self, service: str, models: Dispatcher) -> None:
        self._service = service
        self._models = models

    def collect(self) -> Iterable[Metric]:
        """As prometheus_client asks for it at each scrape."""
        stats = self._models.stats
        count, gauge = CounterMetricFamily, GaugeMetricFamily
        for name, text, values in (
            (MetricName.MODEL_REQUESTS, "HTTP requests sent.", stats.started),
            (MetricName.MODEL_PROBES, "One-token requests to a server in doubt.", stats.probes),
            (MetricName.MODEL_REPLIES_WITHOUT_USAGE, "Replies without token counts.", stats.without_usage),
            (MetricName.MODEL_PROMPTS_CUT, "Replies to a prompt that the server seems to have cut.", stats.prompts_cut),
        ):
            yield self._metric(count, name, text, _by_alias(values))
        calls, tokens = "Calls made and written to the ledger.", "Tokens of those calls, by kind."
        sent = "HTTP requests ended, by outcome."
        yield self._metric(count, MetricName.MODEL_RESPONSES, sent, _plain(stats.sent), "outcome")
        yield self._metric(count, MetricName.MODEL_CALLS, calls, _plain(stats.calls), "result")
        yield self._metric(count, MetricName.MODEL_TOKENS, tokens, _plain(stats.tokens), "kind")
        for name, text, value in (
            (MetricName.MODEL_CALLS_REMEMBERED, "Calls whose reply the ledger already held.", stats.remembered),
            (MetricName.MODEL_LEASES_LOST, "Leases lost under a call.", stats.leases_lost),
            (MetricName.MODEL_REPLIES_LOST, "Paid replies that could not be written.", stats.replies_lost),
        ):
            yield self._metric(count, name, text, {(): value})
        yield self._seconds()
        limits = self._models.limits()
        yield self._metric(
            gauge, MetricName.MODEL_REQUESTS_UNDER_WAY, "Requests in flight.", _by_alias(stats.under_way)
        )
        yield self._metric(
            gauge, MetricName.MODEL_LIMIT, "Concurrent requests that are allowed now.", _by_alias(limits)
        )
        yield self._metric(
            gauge,
            MetricName.MODEL_DOWN_SECONDS,
            "How long an alias has taken no calls; 0 while it does.",
            self._down(),
            "reason",
        )

    def _seconds(self) -> Metric:
        text = "Seconds of replied requests, without their wait for a slot."
        family = HistogramMetricFamily(MetricName.MODEL_CALL_SECONDS, text, labels=["service", "alias", "stage"])
        bounds = [*map(str, CALL_SECONDS), "+Inf"]
        for (alias, stage), each in list(self._models.stats.seconds.items()):
            buckets = list(zip(bounds, accumulate(each.buckets), strict=True))
            family.add_metric([self._service, alias, stage], buckets, each.sum)
        return family

    def _metric(
        self, family: Family, name: MetricName, text: str, values: Mapping[tuple[str, ...], float], *labels: str
    ) -> Metric:
        with_alias = () if () in values else ("alias", *labels)
        metric = family(name, text, labels=("service", *with_alias))
        for key, value in values.items():
            metric.add_metric((self._service, *key), value)
        return metric

    def _down(self) -> dict[tuple[str, ...], float]:
        down = self._models.status()
        up: dict[tuple[str, ...], float] = {(alias, ""): 0.0 for alias in self._models.limits() if alias not in down}
        return up | {(alias, each.reason): each.for_s for alias, each in down.items()}


def _plain(values: Mapping[tuple[str, L], int]) -> dict[tuple[str, ...], float]:
    return dict(values.items())


def _by_alias(values: Mapping[str, int]) -> dict[tuple[str, ...], float]:
    return {(alias,): value for alias, value in values.items()}
