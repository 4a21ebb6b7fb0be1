"""Every metric that the processes export, as they do: what docs, alarms and the board are held against.

python -m tests.exported    # the rows of docs/metrics.md
"""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry

from services.core.figures import Budget, Ends, Figures, RecordCost, Spent, TopicFigures
from services.core.holds import Holds
from services.exporter.metrics import Metrics as ExporterMetrics
from services.gateway.metrics import Metrics as GatewayMetrics
from services.models.stats import Stats
from services.monitor.handler import Seen
from services.monitor.metrics import FiguresMetrics
from services.router.metrics import refusals
from services.runtime.metrics import EngineMetrics, HealthMetrics, registry
from services.runtime.source import TopicPartition
from services.runtime.stats import EngineStats
from services.runtime.watch import Health
from services.worker.metrics import ModelMetrics

OF_THE_PROCESS = ("process_", "python_")
"""prometheus_client's own."""


class Exported(NamedTuple):
    """A metric, as it is asked for: a counter's name ends with _total."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str

    @property
    def row(self) -> str:
        """As docs/metrics.md has it."""
        return f"| `{self.name}` | {self.kind} | {', '.join(self.labels)} | {self.text} |"


def registries(*, begun: bool = True) -> dict[str, CollectorRegistry]:
    """Those of the processes, by who has them; of ones that have begun something, or nothing yet."""
    stats = EngineStats(
        lag={TopicPartition("t", 0): 1}, windows={TopicPartition("t", 0): 1}, begun_written_ms=int(begun)
    )
    made = Stats()
    made.started["a"] = made.under_way["a"] = 1
    made.sent["a", "replied"] = made.calls["a", "reply"] = made.tokens["a", "prompt"] = 1
    models: Any = SimpleNamespace(stats=made, limits=lambda: {"a": 1}, status=lambda: {"a": SimpleNamespace(for_s=1.0)})
    refused, gateway, exporter = refusals(), GatewayMetrics(), ExporterMetrics()
    refused.labels("near_duplicate")
    gateway.refuse("kafka_away")
    gateway.batch("lines", accepted=1, refused=1)
    gateway.not_shown.labels("unknown")
    exporter.dropped.labels("dead")
    exporter.lag.labels("0")
    worker = EngineMetrics("s", stats, Holds())
    return {
        "every worker": registry(worker, HealthMetrics(lambda: Health(live=True, ready=True, why=[]))),
        "workers that ask models": registry(ModelMetrics("s", models)),
        "router": registry(refused),
        "gateway": gateway.registry,
        "exporter": exporter.registry,
        "monitor": registry(FiguresMetrics(Seen(), figures)),
    }


def figures() -> Figures:
    """With something in each place."""
    return Figures(
        at=1,
        behind_s=0,
        topics=(TopicFigures(topic="t", open=1, oldest_s=1, seen=1, per_minute=1, lag={"g": 1}),),
        open=1,
        ends=Ends(),
        routes={"easy": 1},
        refused={"near_duplicate": 1},
        records=(RecordCost(difficulty="easy", alias="a", records=1, usd=1, tokens_in=1, tokens_out=1),),
        spent=(Spent(alias="a", stage="generate", calls=1, tokens_in=1, tokens_cached=0, tokens_out=1, usd=1),),
        calls_under_way={"generator": 1},
        dead_letters={"t": 1},
        budget=Budget(usd=1, reserved_usd=0, stopped=False),
    )


def samples(*, begun: bool = True) -> dict[str, set[str]]:
    """Every name that can be asked for, with its labels; `up` is Prometheus' own."""
    return {"up": set()} | {
        sample.name: set(sample.labels)
        for each in registries(begun=begun).values()
        for metric in each.collect()
        for sample in metric.samples
    }


def metrics() -> Iterator[tuple[str, Exported]]:
    """Ours, with who has them."""
    for who, each in registries().items():
        for metric in each.collect():
            if metric.name.startswith(OF_THE_PROCESS):
                continue
            labels = {label: None for sample in metric.samples for label in sample.labels if label != "le"}
            name = f"{metric.name}_total" if metric.type == "counter" else metric.name
            yield who, Exported(name, metric.type, tuple(labels), metric.documentation)


if __name__ == "__main__":
    last = ""
    for of, exported in metrics():
        if of != last:
            print(f"\n## {of.capitalize()}\n\n| metric | type | labels | meaning |\n| --- | --- | --- | --- |")
        last = of
        print(exported.row)
