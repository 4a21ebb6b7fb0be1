"""Metrics of a worker's model calls, in Prometheus' names: read from the dispatcher when they are asked for."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.llm.dispatcher import Dispatcher

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
        yield self._metric(count, "model_requests", "HTTP requests sent.", _by_alias(stats.started))
        yield self._metric(count, "model_responses", "HTTP requests ended, by how.", _plain(stats.sent), "outcome")
        yield self._metric(count, "model_calls", "Calls made and written to the ledger.", _plain(stats.calls), "result")
        yield self._metric(count, "model_tokens", "Tokens of those calls, by kind.", _plain(stats.tokens), "kind")
        yield self._metric(gauge, "model_requests_under_way", "Requests on their way.", _by_alias(stats.under_way))
        yield self._metric(gauge, "model_limit", "Requests at once that are tried.", _by_alias(self._models.limits()))
        yield self._metric(
            gauge, "model_down_seconds", "How long an alias has taken no calls, by why.", self._down(), "reason"
        )
        yield self._metric(count, "model_probes", "One-token requests to a server in doubt.", _by_alias(stats.probes))
        yield self._metric(
            count, "model_replies_without_usage", "Replies without token counts.", _by_alias(stats.without_usage)
        )
        yield self._metric(
            count, "model_prompts_cut", "Replies to a prompt that seems cut off.", _by_alias(stats.prompts_cut)
        )
        yield self._metric(
            count, "model_replies_lost", "Paid replies that could not be written.", {(): stats.replies_lost}
        )
        yield self._metric(count, "model_calls_remembered", "Calls the ledger held.", {(): stats.remembered})
        yield self._metric(count, "model_leases_lost", "Leases lost under a call.", {(): stats.leases_lost})

    def _metric(
        self, family: Family, name: str, text: str, values: Mapping[tuple[str, ...], float], *labels: str
    ) -> Metric:
        with_alias = () if () in values else ("alias", *labels)
        metric = family(f"reasonmed_{name}", text, labels=("service", *with_alias))
        for key, value in values.items():
            metric.add_metric((self._service, *key), value)
        return metric

    def _down(self) -> dict[tuple[str, ...], float]:
        return {(alias, down.reason): down.for_s for alias, down in self._models.status().items()}


def _plain(values: Mapping[tuple[str, L], int]) -> dict[tuple[str, ...], float]:
    return dict(values.items())


def _by_alias(values: Mapping[str, int]) -> dict[tuple[str, ...], float]:
    return {(alias,): value for alias, value in values.items()}
