"""docs/metrics.md and the Grafana dashboard refer to exported metrics and are complete."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.metrics import PROMETHEUS_OWN, exported, page

ROOT = Path(__file__).parents[2]
BOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/reasonmed.json").read_text())


def panels() -> Iterator[dict[str, Any]]:
    for panel in BOARD["panels"]:
        yield panel
        yield from panel.get("panels", ())


GRAPHS = [panel for panel in panels() if panel["type"] != "row"]
QUERIES = [(panel["title"], target["expr"]) for panel in GRAPHS for target in panel["targets"]]


def test_the_page_lists_the_exported_metrics() -> None:
    assert (ROOT / "docs/metrics.md").read_text() == page(), "generate it again: python -m tests.metrics"


@pytest.mark.parametrize(("title", "expr"), QUERIES, ids=[title for title, _ in QUERIES])
def test_a_panel_uses_exported_metrics(title: str, expr: str) -> None:
    names = exported()
    found = re.findall(r"\b((?:reasonmed|process)_\w+|up)\b(?:\{([^}]*)\})?", expr)
    assert found
    labels = set()
    for name, matchers in found:
        assert name in names
        assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)) <= names[name] | PROMETHEUS_OWN
        labels |= names[name]
    by = {label.strip() for each in re.findall(r"\bby \(([^)]*)\)", expr) for label in each.split(",")}
    assert by <= labels | PROMETHEUS_OWN


def test_figures_of_the_whole_stream_are_never_summed_over_monitors() -> None:
    for title, expr in QUERIES:
        for outer in re.findall(r"(\w+)(?: by \([^)]*\))? \((?:rate\(|increase\()?reasonmed_stream", expr):
            assert outer == "max", title


@pytest.mark.parametrize("panel", GRAPHS, ids=lambda panel: panel["title"])
def test_a_panel_has_a_description_and_a_unit(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"]["uid"] == "${datasource}"
    assert {target["refId"] for target in panel["targets"]}


def test_the_board_can_be_loaded() -> None:
    assert BOARD["schemaVersion"] >= 36
    assert BOARD["uid"] == "reasonmed"
    assert [each["type"] for each in BOARD["templating"]["list"]] == ["datasource"]
    assert max(Counter(panel["id"] for panel in panels()).values()) == 1
    places = [panel["gridPos"] for panel in panels()]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells)), "no two panels overlap"
    assert all(place["x"] + place["w"] <= 24 for place in places)


def test_the_prometheus_configuration_has_the_alarms_and_jobs() -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yaml").read_text())
    assert config["rule_files"] == ["alerts.yaml"]
    assert all(job["job_name"].startswith("reasonmed") for job in config["scrape_configs"])
