"""What an exporter counts, since the start of its process. Every name in one place."""

import shutil
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector

from services.exporter.partition import Dropped, Part, Partition
from services.runtime.process.metric_names import MetricName


class Metrics:
    """One exporter's figures, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.rows = Counter(MetricName.EXPORTER_ROWS, "Records in closed parts.", registry=self.registry)
        self.parts = Counter(MetricName.EXPORTER_PARTS, "Parts closed.", registry=self.registry)
        self.dropped = Counter(
            MetricName.EXPORTER_DROPPED,
            "Messages that became no row: repeats (equal, differing, unchecked), dead, absent offsets.",
            ["why"],
            registry=self.registry,
        )
        self.away = Counter(MetricName.EXPORTER_KAFKA_AWAY, "Times that Kafka didn't answer.", registry=self.registry)
        self.partitions = Gauge(
            MetricName.EXPORTER_PARTITIONS, "Partitions written by this one.", registry=self.registry
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
        """Look at the disk of this folder at each scrape; of its nearest parent, while it isn't there."""

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
        """Set the figures of the partitions that are written here."""
        held = list(partitions)
        self.partitions.set(len(held))
        self.open_bytes.set(sum(partition.bytes for partition in held))
