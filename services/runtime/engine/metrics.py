"""Metrics of an engine, in Prometheus' names: read from its stats when they are asked for."""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import get_args

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.contracts.dead import DeadKind
from services.core.errors import Dependency
from services.core.holds import Holds, State
from services.runtime.engine.source import TopicPartition
from services.runtime.engine.stats import EngineStats
from services.runtime.engine.watchdog import Health


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
    UNDER_WAY = "reasonmed_messages_under_way"
    WINDOW = "reasonmed_window_offsets"
    LAG = "reasonmed_lag_offsets"
    HELD = "reasonmed_held"
    CIRCUIT_OPEN = "reasonmed_circuit_open"
    DRAINING = "reasonmed_draining"
    LIVE = "reasonmed_live"
    READY = "reasonmed_ready"


_HELP: Mapping[Name, str] = {
    Name.TAKEN: "Messages taken from topics.",
    Name.FINISHED: "Messages that ended, with an output or a dead letter, confirmed by the broker.",
    Name.DEAD: "Dead letters, by kind.",
    Name.SKIPPED: "Messages delivered again that the commit's metadata said were finished.",
    Name.ABSENT: "Offsets that were never delivered: other messages lay before and after them.",
    Name.RETRIED: "Tries after a handler raised what it should not.",
    Name.WAITED: "Tries after a dependency was away, by dependency.",
    Name.COMMITS: "Offset commits that the broker took.",
    Name.COMMITS_FAILED: "Offset commits that failed, or came too late.",
    Name.REBALANCES: "Times that this worker's partitions were taken to be handed out anew.",
    Name.BEGUN_WRITTEN: "When the message that was begun last had been written; none before the first.",
    Name.UNDER_WAY: "Messages under way now.",
    Name.WINDOW: "Offsets that were read and can't be committed yet.",
    Name.LAG: "Offsets between this worker's position and the end.",
    Name.HELD: "Things that wait, by state.",
    Name.CIRCUIT_OPEN: "1 while the service's circuit is open.",
    Name.DRAINING: "1 while this worker drains.",
    Name.LIVE: "1 while /healthz says ok.",
    Name.READY: "1 while /readyz says ok.",
}


class EngineMetrics(Collector):
    """One worker's numbers, with the label `service`."""

    def __init__(self, service: str, stats: EngineStats, holds: Holds | None = None) -> None:
        self._service = service
        self._stats = stats
        self._holds = holds

    def collect(self) -> Iterable[Metric]:
        """As prometheus_client asks for it at each scrape."""
        stats = self._stats
        yield self._counter(Name.TAKEN, stats.taken)
        yield self._counter(Name.FINISHED, stats.finished)
        yield self._dead()
        yield self._counter(Name.SKIPPED, stats.skipped)
        yield self._counter(Name.ABSENT, stats.absent)
        yield self._counter(Name.RETRIED, stats.retried)
        yield self._waited()
        yield self._counter(Name.COMMITS, stats.commits)
        yield self._counter(Name.COMMITS_FAILED, stats.commits_failed)
        yield self._counter(Name.REBALANCES, stats.rebalances)
        if stats.begun_written_ms:
            yield self._gauge(Name.BEGUN_WRITTEN, stats.begun_written_ms / 1000)
        yield self._gauge(Name.UNDER_WAY, stats.under_way)
        yield self._by_partition(Name.WINDOW, stats.windows)
        yield self._by_partition(Name.LAG, stats.lag)
        yield self._gauge(Name.CIRCUIT_OPEN, stats.circuit_open)
        yield self._gauge(Name.DRAINING, stats.draining)
        if self._holds is not None:
            yield self._held(self._holds)

    def _counter(self, name: Name, value: int) -> Metric:
        family = CounterMetricFamily(name, _HELP[name], labels=["service"])
        family.add_metric([self._service], value)
        return family

    def _gauge(self, name: Name, value: float) -> Metric:
        family = GaugeMetricFamily(name, _HELP[name], labels=["service"])
        family.add_metric([self._service], value)
        return family

    def _dead(self) -> Metric:
        family = CounterMetricFamily(Name.DEAD, _HELP[Name.DEAD], labels=["service", "kind"])
        for kind in get_args(DeadKind):
            family.add_metric([self._service, kind], self._stats.dead[kind])
        return family

    def _waited(self) -> Metric:
        family = CounterMetricFamily(Name.WAITED, _HELP[Name.WAITED], labels=["service", "dependency"])
        for dependency in get_args(Dependency):
            family.add_metric([self._service, dependency], self._stats.waits[dependency])
        return family

    def _held(self, holds: Holds) -> Metric:
        family = GaugeMetricFamily(Name.HELD, _HELP[Name.HELD], labels=["service", "state"])
        counts = holds.counts()
        for state in get_args(State):
            family.add_metric([self._service, state], counts[state])
        return family

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
