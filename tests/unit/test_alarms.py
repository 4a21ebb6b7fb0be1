"""Each alarm uses exported metrics and has a runbook page; the commands on the pages exist."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from services.cli.__main__ import app
from tests.metrics import ASKING, ENGINES, PROMETHEUS_OWN, exported, of_service

ROOT = Path(__file__).parents[2]
RUNBOOK = ROOT / "docs/runbook"
PAGES = sorted(RUNBOOK.glob("*.md"))
ROOT_COMMAND: Any = typer.main.get_command(app)
COMMANDS: dict[tuple[str, ...], Any] = dict(ROOT_COMMAND.load())
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_uses_exported_metrics(rule: dict[str, Any]) -> None:
    names = exported()
    expr = rule["expr"]
    found = re.findall(r"\b((?:reasonmed|process)_\w+|up)\b(?:\{([^}]*)\})?", expr)
    assert found
    labels = set()
    for name, matchers in found:
        assert name in names
        assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)) <= names[name] | PROMETHEUS_OWN
        labels |= names[name]
    for grouped in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expr):
        assert set(re.findall(r"\w+", grouped)) <= labels | PROMETHEUS_OWN
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"]["summary"]


ONLY_SOME = {
    "reasonmed_model_down_seconds": set(ASKING),
    "reasonmed_model_prompts_cut_total": set(ASKING),
    "reasonmed_model_replies_lost_total": set(ASKING),
    "reasonmed_questions_refused_total": {"router"},
}
"""Per-service metrics that only some services on the engine export."""


@pytest.mark.parametrize("service", ENGINES)
def test_an_alarm_by_service_has_its_metrics_in_every_service(service: str) -> None:
    """An expression over a metric that a service does not export never fires for that service."""
    exports = of_service(service)
    for rule in RULES:
        if not re.search(r"\b(?:by|on)\s*\([^)]*\bservice\b", rule["expr"]):
            continue
        for name in re.findall(r"\breasonmed_\w+", rule["expr"]):
            if name.startswith(("reasonmed_exporter_", "reasonmed_stream_")) or service not in ONLY_SOME.get(
                name, set(ENGINES)
            ):
                continue
            assert name in exports, f"{rule['alert']} never fires for {service}"


def test_an_alarm_fires_for_a_worker_that_has_started_nothing() -> None:
    there = exported(begun=False)
    firing = []
    for rule in RULES:
        needed, _, silences = rule["expr"].partition("unless")
        asked = set(re.findall(r"\breasonmed_\w+", needed))
        silenced = any(name in silences for name in there)
        if "reasonmed_lag_offsets" in asked and asked <= set(there) and not silenced:
            firing.append(rule["alert"])
    assert firing == ["ReasonmedNothingBegun"]


def test_every_lag_metric_has_an_alarm() -> None:
    lags = {name for name in exported() if name.endswith("_lag_offsets")}
    assert len(lags) == 3
    assert all(any(re.search(rf"\b{name}\b", rule["expr"]) for rule in RULES) for name in lags)


def test_every_alarm_has_its_page_and_every_page_its_alarm() -> None:
    named = {rule["annotations"]["runbook_url"] for rule in RULES}
    assert named == {f"docs/runbook/{page.name}" for page in PAGES if page.name != "README.md"}
    index = (RUNBOOK / "README.md").read_text()
    assert set(re.findall(r"\]\(([a-z-]+\.md)\)", index)) == {Path(url).name for url in named}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_have_targets(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_exist(page: Path) -> None:
    for line in re.findall(r"(?m)^\s{4,}(reasonmed .*)$|`(reasonmed [^`]*)`", page.read_text()):
        words = shlex.split(next(filter(None, line)), comments=True)[1:]
        command = COMMANDS.get(tuple(words[:2])) or COMMANDS[tuple(words[:1])]
        assert not hasattr(command, "commands"), f"no such command: {line}"
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, line
