"""Every alarm fires on its own series, for every service it is about, resolves, and is silent about a healthy stream.

By promtool, Prometheus' own tester of rules.
"""

import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import pytest
import yaml

from services.contracts.dead import DeadKind
from tests.metrics import ASKING, ENGINES

ALERTS = Path(__file__).parents[2] / "deploy/prometheus/alerts.yaml"
NAMES = [rule["alert"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
PROMTOOL = shutil.which("promtool")

pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian's package prometheus)")

Series = Mapping[str, str]
"""A metric with its labels, but those of its target, and its values in promtool's notation, one a minute (or hour)."""


class Firing(NamedTuple):
    """Series that make an alarm fire at a minute. It has resolved 70 minutes later."""

    alarm: str
    at: int
    series: Series
    services: Sequence[str] = ENGINES
    """Each of them makes it fire."""
    labels: str = ""
    """Labels of the alarm, in which `{service}` is the service. Without them, it is one alarm for all services."""
    unit: Literal["m", "h"] = "m"


BY_SERVICE = 'service="{service}"'
BY_INSTANCE = 'instance="{service}:1"'
WAITING = "reasonmed_lag_offsets{topic='t',partition='0'"
BEGUN = "reasonmed_message_begun_written_timestamp_seconds{"
WAITS = "reasonmed_dependency_waits_total{dependency="
STARTED = "process_start_time_seconds{"
OWN_ALARM: Mapping[DeadKind, str] = {"not_yet": "ReasonmedRecipeMissing", "killer": "ReasonmedKiller"}

FIRING = (
    *(
        Firing(
            OWN_ALARM.get(kind, "ReasonmedDeadLetters"),
            20,
            {f'reasonmed_messages_dead_total{{kind="{kind}"': "0x9 1x100"},
            labels=BY_SERVICE,
        )
        for kind in get_args(DeadKind)
    ),
    Firing("ReasonmedDeadLetters", 20, {'reasonmed_exporter_dropped_total{why="dead"': "0x9 1x100"}, ["exporter"]),
    Firing("ReasonmedCircuitOpen", 15, {"reasonmed_circuit_open{": "0x9 1x10 0x80"}, labels=BY_SERVICE),
    Firing("ReasonmedBudgetReached", 15, {f'{WAITS}"budget"': "0x9 0+2x10 20x80"}, ["router"]),
    Firing(
        "ReasonmedCaseStuck",
        30,
        {'reasonmed_stream_oldest_seconds{topic="paths-verified"': "86000+60x40 0x80"},
        ["monitor"],
        'topic="paths-verified"',
    ),
    Firing(
        "ReasonmedFiguresOld",
        20,
        {"reasonmed_stream_figures_timestamp_seconds{": "0+60x9 540x30 2460+60x80"},
        ["monitor"],
    ),
    Firing(
        "ReasonmedFiguresOld",
        20,
        {'reasonmed_stream_group_lag_offsets{topic="t",group="monitor"': "20000x30 0x80"},
        ["monitor"],
    ),
    Firing(
        "ReasonmedModelAway",
        10,
        {'reasonmed_model_down_seconds{alias="a",reason="key"': "0+60x20 0x80"},
        ASKING,
        f'{BY_SERVICE},alias="a"',
    ),
    Firing(
        "ReasonmedPromptsCut",
        20,
        {'reasonmed_model_prompts_cut_total{alias="a"': "0x9 0+1x10 10x80"},
        ASKING,
        f'{BY_SERVICE},alias="a"',
    ),
    Firing("ReasonmedRepliesLost", 20, {"reasonmed_model_replies_lost_total{": "0x9 1x100"}, ASKING, BY_SERVICE),
    Firing("ReasonmedLedgerAway", 15, {f'{WAITS}"ledger"': "0x9 0+12x10 120x80"}, labels=BY_SERVICE),
    Firing("ReasonmedBrokerAway", 15, {"reasonmed_ready{": "1x9 0x10 1x80"}),
    Firing("ReasonmedBrokerAway", 15, {f'{WAITS}"broker"': "0x9 0+12x10 120x80"}),
    Firing(
        "ReasonmedBrokerAway",
        15,
        {'reasonmed_gateway_questions_refused_total{reason="kafka_away"': "0x9 0+5x10 50x80"},
        ["gateway"],
    ),
    Firing("ReasonmedNotLive", 15, {"reasonmed_live{": "1x9 0x10 1x80"}, labels=BY_INSTANCE),
    Firing("ReasonmedNotLive", 15, {"up{": "1x9 0x10 1x80"}, (*ENGINES, "gateway", "exporter"), BY_INSTANCE),
    Firing(
        "ReasonmedNotLive",
        30,
        {STARTED: "100x9 600x4 900x4 1200x100"},
        (*ENGINES, "gateway", "exporter"),
        BY_INSTANCE,
    ),
    Firing("ReasonmedNotReady", 18, {"reasonmed_ready{": "1x9 0x10 1x80"}, labels=BY_INSTANCE),
    Firing(
        "ReasonmedBehind",
        24 + 2,
        {WAITING: "5x60 0x60", BEGUN: "0x120"},
        labels=f"{BY_SERVICE},{BY_INSTANCE}",
        unit="h",
    ),
    Firing(
        "ReasonmedHalfOfRetention",
        15 * 24 + 2,
        {WAITING: "5x400 0x80", BEGUN: "0x500"},
        labels=f"{BY_SERVICE},{BY_INSTANCE}",
        unit="h",
    ),
    Firing("ReasonmedNothingBegun", 20, {WAITING: "5x25 0x80"}, labels=BY_SERVICE),
    Firing(
        "ReasonmedExporterBehind",
        45,
        {
            'reasonmed_exporter_lag_offsets{partition="0"': "100x60 0x60",
            "reasonmed_exporter_rows_total{": "7x120",
            'reasonmed_exporter_dropped_total{why="equal"': "7x120",
        },
        ["exporter"],
        BY_INSTANCE,
    ),
    Firing(
        "ReasonmedExporterBehind",
        45,
        {
            'reasonmed_exporter_lag_offsets{partition="0"': "20000x60 0x60",
            "reasonmed_exporter_rows_total{": "0+100x120",
        },
        ["exporter"],
        BY_INSTANCE,
    ),
    Firing(
        "ReasonmedDiskFull",
        15,
        {"reasonmed_exporter_disk_free_bytes{": "9000000000x9 1000000000x10 9000000000x80"},
        ["exporter"],
        BY_INSTANCE,
    ),
)

RESTARTED = "100x30 1900x30 3700x100"
"""When a process started: it is deployed twice within an hour."""

HEALTHY: Mapping[Sequence[str], Series] = {
    ENGINES: {
        **{f'reasonmed_messages_dead_total{{kind="{kind}"': "3x120" for kind in get_args(DeadKind)},
        "reasonmed_circuit_open{": "0x120",
        f'{WAITS}"ledger"': "0x9 0+1x5 5x110",  # a ledger that restarts
        f'{WAITS}"broker"': "0x9 1x110",
        f'{WAITS}"budget"': "0x120",
        "reasonmed_live{": "1x120",
        "up{": "1x30 0 1x90",
        STARTED: RESTARTED,
        WAITING: "5x120",
        BEGUN: "_x8 540+60x110",  # started, and for 9 minutes nothing to do
    },
    ("router", "monitor"): {"reasonmed_ready{": "0 1x120"},
    ASKING: {
        "reasonmed_ready{": "0 1x28 0x4 1x90",  # a start, and a drain
        'reasonmed_model_down_seconds{alias="a",reason=""': "0x120",
        'reasonmed_model_down_seconds{alias="a",reason="away"': "_x20 0+60x4 _x90",  # a server that loads weights
        'reasonmed_model_prompts_cut_total{alias="a"': "0x9 2x110",
        "reasonmed_model_replies_lost_total{": "1x120",
    },
    ("monitor",): {
        'reasonmed_stream_oldest_seconds{topic="paths-verified"': "80000x120",
        'reasonmed_stream_oldest_seconds{topic="question-submitted"': "900000x120",
        "reasonmed_stream_figures_timestamp_seconds{": "0+60x50 3000x3 3240+60x60",
        'reasonmed_stream_group_lag_offsets{topic="t",group="monitor"': "500x120",
        'reasonmed_stream_group_lag_offsets{topic="t",group="verifier"': "50000x120",
    },
    ("gateway",): {
        'reasonmed_gateway_questions_refused_total{reason="kafka_away"': "0x9 8x110",
        'reasonmed_gateway_questions_refused_total{reason="malformed"': "0+100x120",
        "up{": "1x120",
        STARTED: RESTARTED,
    },
    ("exporter",): {
        'reasonmed_exporter_lag_offsets{partition="0"': "300x120",
        "reasonmed_exporter_rows_total{": "0+300x120",
        'reasonmed_exporter_dropped_total{why="dead"': "2x120",
        'reasonmed_exporter_dropped_total{why="equal"': "0+9x120",
        "reasonmed_exporter_disk_free_bytes{": "9000000000x120",
        "up{": "1x120",
        STARTED: RESTARTED,
    },
}
"""Two hours of a stream that works, by its services: some dead letters of before, a restart, and short outages."""


def of(service: str, series: Series) -> list[dict[str, str]]:
    """Series as a service's target has them, in promtool's form."""
    labels = f'job="reasonmed-{service}",instance="{service}:1"}}'
    if service in ENGINES:
        labels = f'service="{service}",{labels}'
    return [
        {"series": name.replace("'", '"') + ("" if name.endswith("{") else ",") + labels, "values": values}
        for name, values in series.items()
    ]


def firing_cases(firing: Firing) -> Iterable[dict[str, Any]]:
    """Of an alarm for all services, a case for each of them: it fires where only one is in trouble."""
    troubled = [firing.services] if firing.labels else [[service] for service in firing.services]
    for services in troubled:
        yield {
            "interval": f"1{firing.unit}",
            "input_series": [each for service in services for each in of(service, firing.series)],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{firing.alarm}",alertstate="firing",{labels}}})',
                    "eval_time": f"{at}{firing.unit}",
                    "exp_samples": expected,
                }
                for labels in (firing.labels.format(service=service) for service in services)
                for at, expected in ((firing.at, [{"labels": "{}", "value": 1}]), (firing.at + 70, []))
            ],
        }


def promtool(cases: Iterable[dict[str, Any]], folder: Path, interval: str = "1m") -> None:
    """Fails with promtool's words, where the rules don't do as the cases say."""
    file = folder / "test.yaml"
    file.write_text(
        yaml.safe_dump({"rule_files": [str(ALERTS)], "evaluation_interval": interval, "tests": list(cases)})
    )
    ran = subprocess.run([str(PROMTOOL), "test", "rules", str(file)], capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("firing", FIRING, ids=lambda firing: f"{firing.alarm}-{next(iter(firing.series))}")
def test_an_alarm_fires_for_every_service_and_resolves(firing: Firing, tmp_path: Path) -> None:
    promtool(firing_cases(firing), tmp_path, f"1{firing.unit}")


@pytest.mark.parametrize("alarm", NAMES)
def test_every_alarm_has_series_that_make_it_fire(alarm: str) -> None:
    assert alarm in {firing.alarm for firing in FIRING}


def test_a_healthy_stream_raises_no_alarm(tmp_path: Path) -> None:
    series = [each for services, those in HEALTHY.items() for service in services for each in of(service, those)]
    series.append({"series": 'up{job="node",instance="other:1"}', "values": "0x120"})
    silent = {"expr": 'count_over_time(ALERTS{alertstate="firing"}[2h])', "eval_time": "2h", "exp_samples": []}
    promtool([{"interval": "1m", "input_series": series, "promql_expr_test": [silent]}], tmp_path)


def test_the_healthy_stream_has_every_metric_of_the_alarms() -> None:
    """A rule without data is silent for any stream."""
    healthy = {name.partition("{")[0] for those in HEALTHY.values() for name in those}
    assert {name.partition("{")[0] for firing in FIRING for name in firing.series} <= healthy


def test_prometheus_takes_the_rules_and_the_sample_configuration() -> None:
    sample = ALERTS.with_name("prometheus.yaml")
    ran = subprocess.run([str(PROMTOOL), "check", "config", str(sample)], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
