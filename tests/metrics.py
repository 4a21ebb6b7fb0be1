"""All metrics, from the real collectors with a value in each."""

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from services.core.holds import Holds
from services.core.messages import TopicPartition
from services.core.status.figures import (
    Budget,
    CaseSeconds,
    Ends,
    Figures,
    GroupScale,
    ModelScale,
    RecordCost,
    Scale,
    Spent,
    TopicFigures,
)
from services.exporter.metrics import Metrics as ExporterMetrics
from services.exporter.metrics import TableMetrics
from services.gateway.http.metrics import Metrics as GatewayMetrics
from services.llm.stats import Stats
from services.monitor.handler import Seen
from services.monitor.metrics import FiguresMetrics
from services.router.metrics import flags, refusals
from services.runtime.engine.counters import Counters
from services.runtime.engine.metrics import EngineMetrics, HealthMetrics, registry
from services.runtime.engine.state import EngineState
from services.runtime.engine.watchdog import Health
from services.worker.metrics import ModelMetrics

SUFFIXES = {"counter": "_total", "info": "_info"}
"""That a metric's samples have beside its name, by type."""
PROMETHEUS_OWN = {"instance", "job"}
"""Labels that Prometheus adds to every target."""

FIGURES = Figures(
    scale=Scale(at=1, groups={"g": GroupScale(left=1, lag=1)}, models={"a": ModelScale(wanted=1, ahead=1)}),
    at=1,
    behind_s=1,
    topics=(TopicFigures(topic="t", open=1, oldest_s=1, seen=1, per_minute=1, lag={"g": 1}),),
    open=1,
    ends=Ends(),
    routes={"easy": 1},
    refused={"near_duplicate": 1},
    records=(RecordCost(difficulty="easy", alias="a", records=1, usd=1, tokens_in=1, tokens_out=1),),
    case_seconds=(CaseSeconds(difficulty="easy", count=1, seconds=9, buckets={"10": 1, "+Inf": 0}),),
    spent=(Spent(alias="a", stage="verify", calls=1, tokens_in=1, tokens_cached=1, tokens_out=1, usd=1),),
    calls_under_way={"verifier": 1},
    dead_letters={"router-dead": 1},
    budget=Budget(usd=1, reserved_usd=1, stopped=False),
)


def registries(*, begun: bool = True) -> Mapping[str, CollectorRegistry]:
    """By exporting service: a worker that calls models and has started a message (or none yet), and the others."""
    gateway, exporter, refused, flagged = GatewayMetrics(), ExporterMetrics(), refusals(), flags()
    flagged.labels("personal_data")
    refused.labels("near_duplicate")
    gateway.refuse("kafka_away")
    gateway.batch("lines", accepted=1, refused=1)
    gateway.not_shown.labels("unknown")
    TableMetrics(exporter, "records").is_behind({TopicPartition("record-completed", 0): 0})
    partition = TopicPartition("t", 0)
    state = EngineState(lag={partition: 1}, windows={partition: 1}, begun_written_ms=int(begun))
    health = HealthMetrics(lambda: Health(live=True, ready=True, why=[]))
    return {
        "every worker": registry(EngineMetrics("s", Counters(), lambda: state, Holds()), health),
        "workers that call models": _registry(ModelMetrics("s", _models())),
        "router": _registry(refused, flagged),
        "monitor": _registry(FiguresMetrics(Seen(), lambda: FIGURES)),
        "gateway": gateway.registry,
        "exporter": exporter.registry,
    }


ENGINES = ("generator", "verifier", "router", "refiner", "summarizer", "monitor")
"""The services that run on the engine: each exports what "every worker" does (worker/context.py)."""

ASKING = ("generator", "verifier", "refiner", "summarizer")
"""Those of them that call models."""


def of_service(service: str) -> set[str]:
    """Every metric name of a service, including those that Prometheus adds."""
    own = {"router": ["router"], "monitor": ["monitor"]}.get(service, ["workers that call models"])
    groups = ["every worker", *own] if service in ENGINES else [service]
    exporting = registries()
    return {"up"} | {
        sample.name for each in groups for metric in exporting[each].collect() for sample in metric.samples
    }


def families(*, begun: bool = True) -> Iterable[Metric]:
    """All metrics."""
    for each in registries(begun=begun).values():
        yield from each.collect()


def exported(*, begun: bool = True) -> dict[str, set[str]]:
    """Every metric name with its labels."""
    found = {sample.name: set(sample.labels) for metric in families(begun=begun) for sample in metric.samples}
    return {"up": set()} | found


def _models() -> Any:
    stats = Stats()
    for counter in (stats.started, stats.under_way, stats.probes, stats.without_usage, stats.prompts_cut):
        counter["a"] += 1
    stats.sent["a", "replied"] += 1
    stats.seconds["a", "verify"].add(2)
    stats.calls["a", "reply"] += 1
    stats.tokens["a", "prompt"] += 1
    return SimpleNamespace(
        stats=stats, limits=lambda: {"a": 1}, status=lambda: {"a": SimpleNamespace(for_s=1.0, reason="key")}
    )


def _registry(*collectors: Any) -> CollectorRegistry:
    made = CollectorRegistry()
    for each in collectors:
        made.register(each)
    return made


HEAD = """# Metrics

Each service serves `/metrics` on its port. Counters end in `_total`, the Prometheus convention. This page is generated
by `python -m tests.metrics` from the collectors. Tests compare this page, the alarms
([deploy/prometheus/alerts.yaml](../deploy/prometheus/alerts.yaml)) and the Grafana dashboard
([deploy/grafana/reasonmed.json](../deploy/grafana/reasonmed.json)) with the exported metrics.

`reasonmed_stream_…` are figures of the whole stream, which every monitor exports: use `max` over them, never `sum`.
"""


def page() -> str:
    """docs/metrics.md."""
    lines = [HEAD]
    for who, exporting in registries().items():
        lines += [
            f"## {who[0].upper()}{who[1:]}\n",
            "| metric | type | labels | meaning |",
            "| --- | --- | --- | --- |",
        ]
        for metric in exporting.collect():
            labels = sorted({label for sample in metric.samples for label in sample.labels} - {"le"})
            name = metric.name + SUFFIXES.get(metric.type, "")
            labelled = ", ".join(f"`{label}`" for label in labels)
            lines.append(f"| `{name}` | {metric.type} | {labelled} | {metric.documentation} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    from pathlib import Path

    (Path(__file__).parents[1] / "docs/metrics.md").write_text(page())
