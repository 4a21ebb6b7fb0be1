"""Alarms over a service's own metrics fire for every service, and resolve: by promtool, Prometheus' own tester."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.metrics import ENGINES

ALERTS = Path(__file__).parents[2] / "deploy/prometheus/alerts.yaml"
PROMTOOL = shutil.which("promtool")


Series = Mapping[str, str]
"""A metric with its labels, but the service's, and its values in promtool's notation, one a minute."""

FIRING: dict[str, tuple[Series, str]] = {
    "ReasonmedDeadLetters": ({'reasonmed_messages_dead_total{kind="poison"': "0x9 1x100"}, "20m"),
    "ReasonmedRecipeMissing": ({'reasonmed_messages_dead_total{kind="not_yet"': "0x9 1x100"}, "20m"),
    "ReasonmedKiller": ({'reasonmed_messages_dead_total{kind="killer"': "0x9 1x100"}, "20m"),
    "ReasonmedCircuitOpen": ({"reasonmed_circuit_open{": "0x9 1x10 0x80"}, "15m"),
    "ReasonmedLedgerAway": ({'reasonmed_dependency_waits_total{dependency="ledger"': "0x9 0+12x10 120x80"}, "15m"),
    "ReasonmedNotReady": ({"reasonmed_ready{": "1x9 0x10 1x80"}, "18m"),
    "ReasonmedNothingBegun": ({"reasonmed_lag_offsets{": "5x25 0x80"}, "20m"),
    "ReasonmedBehind": (
        {"reasonmed_lag_offsets{": "5x1500 0x80", "reasonmed_message_begun_written_timestamp_seconds{": "0x1600"},
        "1470m",
    ),
}
"""By alarm: series that make it fire, and when it does. Each has ended 70 minutes after that."""


def case_of(alarm: str, service: str, series: Series, at: str) -> dict[str, Any]:
    labels = f'service="{service}",job="reasonmed-workers",instance="a:1"}}'
    minutes = int(at.removesuffix("m"))
    return {
        "interval": "1m",
        "input_series": [
            {"series": name + ("" if name.endswith("{") else ",") + labels, "values": values}
            for name, values in series.items()
        ],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{alarm}",alertstate="firing",service="{service}"}})',
                "eval_time": f"{when}m",
                "exp_samples": [{"labels": "{}", "value": 1}] if fires else [],
            }
            for when, fires in ((minutes, True), (minutes + 70, False))
        ],
    }


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian's package prometheus)")
@pytest.mark.parametrize("alarm", FIRING)
def test_an_alarm_fires_for_every_service_and_resolves(alarm: str, tmp_path: Path) -> None:
    series, at = FIRING[alarm]
    rules = {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": "1m",
        "tests": [case_of(alarm, service, series, at) for service in ENGINES],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(rules))
    ran = subprocess.run(
        [str(PROMTOOL), "test", "rules", str(tmp_path / "test.yaml")], capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian's package prometheus)")
def test_prometheus_takes_the_rules() -> None:
    ran = subprocess.run([str(PROMTOOL), "check", "rules", str(ALERTS)], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
