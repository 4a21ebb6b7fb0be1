"""`reasonmed plan`: from a demand and the chart's values to numbers, and to values that the chart takes."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8s.check.chart import render
from k8s.check.rules import problems
from services.cli.run import plan_inputs
from tests.unit.cli.test_commands import run

ROOT = Path(__file__).parents[3]
LARGE = ROOT / "k8s/values/large.yaml"


def planned(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run("plan", "default", *arguments, "--json") == 0
    made: dict[str, Any] = json.loads(capsys.readouterr().out)
    return made


def test_a_rate_a_burst_in_time_and_a_burst_as_fast_as_possible(capsys: pytest.CaptureFixture[str]) -> None:
    rate = planned(capsys, "--rate", "500/h")
    assert (rate["cases_per_h"], rate["fits"], rate["takes_s"]) == (500, False, None)
    within = planned(capsys, "--cases", "100000", "--within", "24h", "--values", str(LARGE))
    assert within["takes_s"] == pytest.approx(86_400, rel=1e-3)
    fastest = planned(capsys, "--cases", "100000", "--values", str(LARGE))
    assert fastest["takes_s"] < within["takes_s"]
    assert fastest["cases_per_h"] == fastest["bound_cases_per_h"]


def test_its_values_make_a_chart_that_passes_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    given = planned(capsys, "--rate", "2000/h", "--values", str(LARGE))["values"]
    values = yaml.safe_load(LARGE.read_text())
    most = {pool["alias"]: pool["most"] for pool in given["pools"]}
    values["pools"] = [pool | {"most": most.get(pool["alias"], pool.get("most"))} for pool in values["pools"]]
    for service, numbers in given["services"].items():
        values["services"][service] |= numbers
    values["kafka"]["partitions"] = given["kafka"]["partitions"]
    assert problems(render(values)) == []


def test_it_says_what_is_full_first_and_ends_with_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", "default", "--cases", "1000") == 0
    text = capsys.readouterr().out
    assert "full first: model qwen, at" in text
    assert "1,000 cases take" in text
    assert yaml.safe_load(text.partition("by alias):")[2])["services"]["verifier"]["most"] >= 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "say how many questions"),
        (("--rate", "5/h", "--cases", "5"), "say how many questions"),
        (("--rate", "5/h", "--within", "8h"), "say how many questions"),
        (("--rate", "many"), "such as 500/h"),
        (("--cases", "5", "--within", "soon"), "such as 8h"),
        (("--cases", "5", "--within", "1min"), "give more than"),
        (("--rate", "5/h", "--values", "nowhere.yaml"), "nowhere.yaml can't be read"),
    ],
)
def test_what_it_cannot_plan_is_said(arguments: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", "default", *arguments) != 0
    assert why in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("pools: [{alias: qwen, gpus: 1, most: 1, maxNumSeqs: 8, callSeconds: 9}]", "no server for the recipe's"),
        ("pools: [{gpus: 1}]", "are no values of the chart"),
        ("pools: 3", "are no values of the chart"),
        ("[]", "it must be a mapping"),
        ("a: b: c", "can't be read"),
    ],
)
def test_values_that_are_none_are_named(
    text: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(text)
    assert run("plan", "default", "--rate", "5/h", "--values", str(file)) != 0
    error = capsys.readouterr().err
    assert why in error
    assert "values.yaml" in error


def test_the_chart_s_own_values_are_the_defaults() -> None:
    assert plan_inputs.DEFAULTS.read_text() == (ROOT / "k8s/chart/values.yaml").read_text()
