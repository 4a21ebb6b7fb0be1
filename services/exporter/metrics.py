"""The exporter's metrics, counted since the start of its process."""

import shutil
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path

from prometheus_client import Counter, Gauge

from services.exporter.partition import Dropped, Part, Partition
from services.runtime.engine.metrics import process_registry
from services.runtime.metric_names import MetricName


class Metrics:
    """One exporter's figures, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = process_registry()
        self.rows = Counter(MetricName.EXPORTER_ROWS, "Records in closed parts.", registry=self.registry)
        self.parts = Counter(MetricName.EXPORTER_PARTS, "Parts closed.", registry=self.registry)
        self.dropped = Counter(
            MetricName.EXPORTER_DROPPED,
            "Messages without a row: repeats (equal, differing, unchecked), dead, absent offsets.",
            ["why"],
            registry=self.registry,
        )
        self.away = Counter(MetricName.EXPORTER_KAFKA_AWAY, "Times that Kafka did not answer.", registry=self.registry)
        self.partitions = Gauge(
            MetricName.EXPORTER_PARTITIONS, "Partitions that this exporter writes.", registry=self.registry
        )
        self.open_bytes = Gauge(MetricName.EXPORTER_OPEN_BYTES, "Bytes in open parts.", registry=self.registry)
        self.free_bytes = Gauge(
            MetricName.EXPORTER_DISK_FREE_BYTES, "Free bytes where the dataset is written.", registry=self.registry
        )
        self.lag = Gauge(
            MetricName.EXPORTER_LAG_OFFSETS, "Offsets not in a closed part yet.", ["partition"], registry=self.registry
        )

        for reason in fields(Dropped):  # from 0: an increase to the first is seen
            self.dropped.labels(reason.name)

    def watch_disk(self, folder: Path) -> None:
        """Export the free space of this folder, or of its nearest existing parent, at each scrape."""

        def free() -> float:
            there = next(path for path in (folder, *folder.parents) if path.exists())
            return float(shutil.disk_usage(there).free)

        self.free_bytes.set_function(free)

    def sealed(self, part: Part) -> None:
        """Count a commit."""
        if part.rows:
            self.rows.inc(part.rows)
            self.parts.inc()
        for reason, count in asdict(part.dropped).items():
            self.dropped.labels(reason).inc(count)

    def hold(self, partitions: Iterable[Partition]) -> None:
        """Set the metrics of the partitions that this exporter writes."""
        held = list(partitions)
        self.partitions.set(len(held))
        self.open_bytes.set(sum(partition.bytes for partition in held))
