"""The exporter's metrics, counted since the start of its process."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path

from prometheus_client import Counter, Gauge

from services.core.messages import TopicPartition
from services.exporter.partition import Dropped, Part, Partition
from services.runtime.engine.metrics import process_registry
from services.runtime.metric_names import MetricName


class Metrics:
    """One exporter's figures, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = process_registry()
        self.rows = Counter(MetricName.EXPORTER_ROWS, "Rows in closed parts.", ["table"], registry=self.registry)
        self.parts = Counter(MetricName.EXPORTER_PARTS, "Parts closed.", ["table"], registry=self.registry)
        self.dropped = Counter(
            MetricName.EXPORTER_DROPPED,
            "Messages without a row: repeats (equal, differing, unchecked), dead, absent offsets.",
            ["table", "why"],
            registry=self.registry,
        )
        self.away = Counter(
            MetricName.EXPORTER_KAFKA_AWAY, "Times that Kafka did not answer.", ["table"], registry=self.registry
        )
        self.partitions = Gauge(
            MetricName.EXPORTER_PARTITIONS, "Partitions that this exporter writes.", ["table"], registry=self.registry
        )
        self.open_bytes = Gauge(
            MetricName.EXPORTER_OPEN_BYTES, "Bytes in open parts.", ["table"], registry=self.registry
        )
        self.free_bytes = Gauge(
            MetricName.EXPORTER_DISK_FREE_BYTES, "Free bytes where the dataset is written.", registry=self.registry
        )
        self.lag = Gauge(
            MetricName.EXPORTER_LAG_OFFSETS,
            "Offsets not in a closed part yet.",
            ["table", "topic", "partition"],
            registry=self.registry,
        )

    def watch_disk(self, folder: Path) -> None:
        """Export the free space of this folder, or of its nearest existing parent, at each scrape."""

        def free() -> float:
            there = next(path for path in (folder, *folder.parents) if path.exists())
            return float(shutil.disk_usage(there).free)

        self.free_bytes.set_function(free)


class TableMetrics:
    """The figures of one table."""

    def __init__(self, metrics: Metrics, table: str) -> None:
        self.registry = metrics.registry
        self.rows = metrics.rows.labels(table)
        self.parts = metrics.parts.labels(table)
        self.dropped = {reason.name: metrics.dropped.labels(table, reason.name) for reason in fields(Dropped)}
        self.away = metrics.away.labels(table)
        self.partitions = metrics.partitions.labels(table)
        self.open_bytes = metrics.open_bytes.labels(table)
        self._lag = metrics.lag
        self._table = table
        self._behind: frozenset[TopicPartition] = frozenset()

    def sealed(self, part: Part) -> None:
        """Count a commit."""
        if part.rows:
            self.rows.inc(part.rows)
            self.parts.inc()
        for reason, count in asdict(part.dropped).items():
            self.dropped[reason].inc(count)

    def is_behind(self, lag: Mapping[TopicPartition, int]) -> None:
        """Set the lag. The new owner exports that of a lost partition."""
        for topic, number in self._behind - lag.keys():
            self._lag.remove(self._table, topic, str(number))
        for (topic, number), offsets in lag.items():
            self._lag.labels(self._table, topic, str(number)).set(offsets)
        self._behind = frozenset(lag)

    def hold(self, partitions: Iterable[Partition]) -> None:
        """Set the metrics of the partitions that this exporter writes."""
        held = list(partitions)
        self.partitions.set(len(held))
        self.open_bytes.set(sum(partition.bytes for partition in held))
