"""Metrics of an engine, by Prometheus' naming: read from its counters and its state at each scrape."""

import platform
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from typing import Any, TypeVar, get_args

from prometheus_client import CollectorRegistry, Info, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.contracts.dead import DeadKind
from services.core.errors import Dependency
from services.core.holds import Holds, State
from services.core.messages import TopicPartition
from services.runtime.engine.counters import Counters
from services.runtime.engine.state import EngineState
from services.runtime.engine.watchdog import Health
from services.runtime.metric_names import MetricName

F = TypeVar("F", CounterMetricFamily, GaugeMetricFamily)


HELP: Mapping[MetricName, str] = {
    MetricName.BUILD_INFO: "Always 1; the labels have the versions of this code and of Python.",
    MetricName.MESSAGES_TAKEN: "Messages taken from topics.",
    MetricName.MESSAGES_FINISHED: "Messages that ended with an output or a dead letter that the broker has confirmed.",
    MetricName.MESSAGES_DEAD: "Dead letters, by kind.",
    MetricName.MESSAGES_SKIPPED: "Messages delivered again that the commit's metadata names as finished.",
    MetricName.OFFSETS_ABSENT: "Offsets that were never delivered, although later ones were.",
    MetricName.HANDLER_RETRIES: "Retries after a handler raised an unexpected exception.",
    MetricName.DEPENDENCY_WAITS: "Retries while a dependency was away, by dependency.",
    MetricName.COMMITS: "Offset commits that the broker accepted.",
    MetricName.COMMITS_FAILED: "Offset commits that failed, or came too late.",
    MetricName.REBALANCES: "Rebalances: times that this worker's partitions were revoked.",
    MetricName.MESSAGE_BEGUN_WRITTEN_TIMESTAMP_SECONDS: "When the message begun last was written; absent at first.",
    MetricName.MESSAGES_UNDER_WAY: "Messages in flight now.",
    MetricName.WINDOW_OFFSETS: "Offsets that were read and can't be committed yet.",
    MetricName.LAG_OFFSETS: "Offsets between this worker's position and the end.",
    MetricName.HELD: "Calls, records and requests that are held, by state.",
    MetricName.CIRCUIT_OPEN: "1 while the service's circuit is open.",
    MetricName.DRAINING: "1 while this worker drains after SIGTERM.",
    MetricName.LIVE: "1 while /healthz says ok.",
    MetricName.READY: "1 while /readyz says ok.",
}


class EngineMetrics(Collector):
    """One worker's numbers, with the label `service`."""

    def __init__(self, service: str, counters: Counters, state: Callable[[], EngineState], holds: Holds) -> None:
        self._service = service
        self._counters = counters
        self._state = state
        self._holds = holds

    def collect(self) -> Iterable[Metric]:
        """As prometheus_client asks for it at each scrape."""
        yield from self._counts(self._counters)
        yield from self._now(self._state())
        yield self._labelled(GaugeMetricFamily, MetricName.HELD, "state", get_args(State), self._holds.counts())

    def _counts(self, counters: Counters) -> Iterable[Metric]:
        count = CounterMetricFamily
        yield self._plain(count, MetricName.MESSAGES_TAKEN, counters.taken)
        yield self._plain(count, MetricName.MESSAGES_FINISHED, counters.finished)
        yield self._labelled(count, MetricName.MESSAGES_DEAD, "kind", get_args(DeadKind), counters.dead)
        yield self._plain(count, MetricName.MESSAGES_SKIPPED, counters.skipped)
        yield self._plain(count, MetricName.OFFSETS_ABSENT, counters.absent)
        yield self._plain(count, MetricName.HANDLER_RETRIES, counters.retried)
        yield self._labelled(count, MetricName.DEPENDENCY_WAITS, "dependency", get_args(Dependency), counters.waits)
        yield self._plain(count, MetricName.COMMITS, counters.commits)
        yield self._plain(count, MetricName.COMMITS_FAILED, counters.commits_failed)
        yield self._plain(count, MetricName.REBALANCES, counters.rebalances)

    def _now(self, state: EngineState) -> Iterable[Metric]:
        gauge = GaugeMetricFamily
        if state.begun_written_ms:
            yield self._plain(gauge, MetricName.MESSAGE_BEGUN_WRITTEN_TIMESTAMP_SECONDS, state.begun_written_ms / 1000)
        yield self._plain(gauge, MetricName.MESSAGES_UNDER_WAY, state.in_flight)
        yield self._by_partition(MetricName.WINDOW_OFFSETS, state.windows)
        yield self._by_partition(MetricName.LAG_OFFSETS, state.lag)
        yield self._plain(gauge, MetricName.CIRCUIT_OPEN, state.circuit_open)
        yield self._plain(gauge, MetricName.DRAINING, state.draining)

    def _plain(self, family: type[F], name: MetricName, value: float) -> F:
        metric = family(name, HELP[name], labels=["service"])
        metric.add_metric([self._service], value)
        return metric

    def _labelled(
        self, family: type[F], name: MetricName, label: str, values: Iterable[str], counts: Mapping[Any, int]
    ) -> F:
        metric = family(name, HELP[name], labels=["service", label])
        for value in values:
            metric.add_metric([self._service, value], counts.get(value, 0))
        return metric

    def _by_partition(self, name: MetricName, values: Mapping[TopicPartition, int]) -> Metric:
        family = GaugeMetricFamily(name, HELP[name], labels=["service", "topic", "partition"])
        for (topic, partition), value in list(values.items()):
            family.add_metric([self._service, topic, str(partition)], value)
        return family


class HealthMetrics(Collector):
    """What a process says of its health, without labels: a probe that is refused leaves no trace in Prometheus."""

    def __init__(self, health: Callable[[], Health]) -> None:
        self._health = health

    def collect(self) -> Iterable[Metric]:
        """As prometheus_client asks for it at each scrape."""
        health = self._health()
        yield GaugeMetricFamily(MetricName.LIVE, HELP[MetricName.LIVE], value=health.live)
        yield GaugeMetricFamily(MetricName.READY, HELP[MetricName.READY], value=health.ready)


def process_registry() -> CollectorRegistry:
    """A registry with the process's own figures (start, CPU, memory, files) and its build."""
    made = CollectorRegistry()
    ProcessCollector(registry=made)
    build = Info(MetricName.BUILD_INFO.removesuffix("_info"), HELP[MetricName.BUILD_INFO], registry=made)
    build.info({"version": version("reasonmed-stream"), "python": platform.python_version()})
    return made


def registry(*collectors: Collector) -> CollectorRegistry:
    """A registry of a worker's own, for its /metrics; with the process's own figures, its start among them."""
    made = process_registry()
    for collector in collectors:
        made.register(collector)
    return made
