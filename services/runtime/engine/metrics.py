"""Metrics of an engine, by Prometheus' naming: read from its counters and its state at each scrape."""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeVar, get_args

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.contracts.dead import DeadKind
from services.core.errors import Dependency
from services.core.holds import Holds, State
from services.runtime.engine.counters import Counters
from services.runtime.engine.source import TopicPartition
from services.runtime.engine.state import EngineState
from services.runtime.engine.watchdog import Health

F = TypeVar("F", CounterMetricFamily, GaugeMetricFamily)


class Name(StrEnum):
    """Every metric that a worker exports; counters get Prometheus' _total."""

    TAKEN = "reasonmed_messages_taken"
    FINISHED = "reasonmed_messages_finished"
    DEAD = "reasonmed_messages_dead"
    SKIPPED = "reasonmed_messages_skipped"
    ABSENT = "reasonmed_offsets_absent"
    RETRIED = "reasonmed_handler_retries"
    WAITED = "reasonmed_dependency_waits"
    COMMITS = "reasonmed_commits"
    COMMITS_FAILED = "reasonmed_commits_failed"
    REBALANCES = "reasonmed_rebalances"
    BEGUN_WRITTEN = "reasonmed_message_begun_written_timestamp_seconds"
    IN_FLIGHT = "reasonmed_messages_under_way"
    WINDOW = "reasonmed_window_offsets"
    LAG = "reasonmed_lag_offsets"
    HELD = "reasonmed_held"
    CIRCUIT_OPEN = "reasonmed_circuit_open"
    DRAINING = "reasonmed_draining"
    LIVE = "reasonmed_live"
    READY = "reasonmed_ready"


_HELP: Mapping[Name, str] = {
    Name.TAKEN: "Messages taken from topics.",
    Name.FINISHED: "Messages that ended with an output or a dead letter that the broker has confirmed.",
    Name.DEAD: "Dead letters, by kind.",
    Name.SKIPPED: "Messages delivered again that the commit's metadata names as finished.",
    Name.ABSENT: "Offsets that were never delivered, although later ones were.",
    Name.RETRIED: "Retries after a handler raised an unexpected exception.",
    Name.WAITED: "Retries while a dependency was away, by dependency.",
    Name.COMMITS: "Offset commits that the broker accepted.",
    Name.COMMITS_FAILED: "Offset commits that failed, or came too late.",
    Name.REBALANCES: "Rebalances: times that this worker's partitions were revoked.",
    Name.BEGUN_WRITTEN: "When the message begun last was written, in Unix time; absent before the first.",
    Name.IN_FLIGHT: "Messages in flight now.",
    Name.WINDOW: "Offsets that were read and can't be committed yet.",
    Name.LAG: "Offsets between this worker's position and the end.",
    Name.HELD: "Calls, records and requests that are held, by state.",
    Name.CIRCUIT_OPEN: "1 while the service's circuit is open.",
    Name.DRAINING: "1 while this worker drains after SIGTERM.",
    Name.LIVE: "1 while /healthz says ok.",
    Name.READY: "1 while /readyz says ok.",
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
        yield self._labelled(GaugeMetricFamily, Name.HELD, "state", get_args(State), self._holds.counts())

    def _counts(self, counters: Counters) -> Iterable[Metric]:
        count = CounterMetricFamily
        yield self._plain(count, Name.TAKEN, counters.taken)
        yield self._plain(count, Name.FINISHED, counters.finished)
        yield self._labelled(count, Name.DEAD, "kind", get_args(DeadKind), counters.dead)
        yield self._plain(count, Name.SKIPPED, counters.skipped)
        yield self._plain(count, Name.ABSENT, counters.absent)
        yield self._plain(count, Name.RETRIED, counters.retried)
        yield self._labelled(count, Name.WAITED, "dependency", get_args(Dependency), counters.waits)
        yield self._plain(count, Name.COMMITS, counters.commits)
        yield self._plain(count, Name.COMMITS_FAILED, counters.commits_failed)
        yield self._plain(count, Name.REBALANCES, counters.rebalances)

    def _now(self, state: EngineState) -> Iterable[Metric]:
        gauge = GaugeMetricFamily
        if state.begun_written_ms:
            yield self._plain(gauge, Name.BEGUN_WRITTEN, state.begun_written_ms / 1000)
        yield self._plain(gauge, Name.IN_FLIGHT, state.in_flight)
        yield self._by_partition(Name.WINDOW, state.windows)
        yield self._by_partition(Name.LAG, state.lag)
        yield self._plain(gauge, Name.CIRCUIT_OPEN, state.circuit_open)
        yield self._plain(gauge, Name.DRAINING, state.draining)

    def _plain(self, family: type[F], name: Name, value: float) -> F:
        metric = family(name, _HELP[name], labels=["service"])
        metric.add_metric([self._service], value)
        return metric

    def _labelled(self, family: type[F], name: Name, label: str, values: Iterable[str], counts: Mapping[Any, int]) -> F:
        metric = family(name, _HELP[name], labels=["service", label])
        for value in values:
            metric.add_metric([self._service, value], counts.get(value, 0))
        return metric

    def _by_partition(self, name: Name, values: Mapping[TopicPartition, int]) -> Metric:
        family = GaugeMetricFamily(name, _HELP[name], labels=["service", "topic", "partition"])
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
        yield GaugeMetricFamily(Name.LIVE, _HELP[Name.LIVE], value=health.live)
        yield GaugeMetricFamily(Name.READY, _HELP[Name.READY], value=health.ready)


def registry(*collectors: Collector) -> CollectorRegistry:
    """A registry of a worker's own, for its /metrics; with the process's own figures, its start among them."""
    made = CollectorRegistry()
    ProcessCollector(registry=made)
    for collector in collectors:
        made.register(collector)
    return made
