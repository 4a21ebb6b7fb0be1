"""Grafana's board asks for metrics and labels that there are; the scrape example uses the alarms."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.contracts.topics import topics
from tests.exported import samples

DEPLOY = Path(__file__).parents[2] / "deploy"
BOARD: dict[str, Any] = json.loads((DEPLOY / "grafana/reasonmed.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
TARGETS = [(panel["title"], target) for panel in PANELS for target in panel["targets"]]
NAMES = samples()
OF_BUCKETS = {"le"}


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    assert all(each["datasource"]["uid"] == "${datasource}" for each in (panel, *panel["targets"]))


@pytest.mark.parametrize("target", [target for _, target in TARGETS], ids=[title for title, _ in TARGETS])
def test_a_query_asks_for_what_there_is(target: dict[str, Any]) -> None:
    expr = target["expr"]
    found = re.findall(r"\b((?:reasonmed|process)_\w+)(?:\{([^}]*)\})?", expr)
    assert found
    labels = set()
    for name, matchers in found:
        assert name in NAMES
        assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)) <= NAMES[name]
        assert set(re.findall(r'\btopic="([^"]*)"', matchers)) <= set(topics())
        labels |= NAMES[name]
    grouped = {label for group in re.findall(r"\bby\s*\(([^)]*)\)", expr) for label in re.findall(r"\w+", group)}
    assert grouped <= labels
    assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= grouped - OF_BUCKETS


def test_counters_are_asked_for_their_rate() -> None:
    for _, target in TARGETS:
        for before in re.findall(r"(\w*)\(?reasonmed_\w+_(?:total|bucket)\b", target["expr"]):
            assert before in ("rate", "increase"), target["expr"]


def test_panels_have_ids_and_places_of_their_own() -> None:
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        squares = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not squares & taken, panel["title"]
        taken |= squares


def test_the_board_asks_the_prometheus_that_is_chosen() -> None:
    (variable,) = BOARD["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
    provisioned = [yaml.safe_load(path.read_text()) for path in sorted((DEPLOY / "grafana").rglob("*.yaml"))]
    assert [each["apiVersion"] for each in provisioned] == [1, 1]


def test_the_scrape_example_uses_the_alarms_and_names_its_jobs_as_they_expect() -> None:
    example = yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text())
    assert all((DEPLOY / "prometheus" / name).exists() for name in example["rule_files"])
    jobs = [job["job_name"] for job in example["scrape_configs"]]
    assert len(set(jobs)) == len(jobs)
    assert all(job.startswith("reasonmed") for job in jobs)
