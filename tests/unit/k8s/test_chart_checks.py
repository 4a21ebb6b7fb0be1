"""The chart passes its checks with every set of values; one mistake in it, or in values, is refused with its remedy."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

pytest.importorskip("helm_python", reason="helm-python-sdk has no wheel for this platform")

from k8s.check.__main__ import VALUES
from k8s.check.chart import CHART, Refused, render
from k8s.check.rules import problems


class Mistake(NamedTuple):
    """A text of the chart, what it becomes, and what the checks say."""

    file: str
    right: str
    wrong: str
    said: str
    values: str = "default"


IN_THE_CHART = {
    "grace": Mistake(
        "_sizing.tpl", ".constants.after_drain_s .drain", "10 .drain", "must be more than preStop + drain + 30"
    ),
    "drain": Mistake(
        "_environment.tpl", "{{ .service.drain | int64 | quote }}", '"60"', "99 of 100 calls end only within 400 s"
    ),
    "calls": Mistake("_workloads.tpl", "(mul $given.cases $width)", "$given.cases", "9 calls at once each: set 288"),
    "cap": Mistake(
        "_sizing.tpl", "(mulf .atOnce .constants.queue_percent)", "(mulf .atOnce 100)", "--max-num-queued-reqs is 64"
    ),
    "setting": Mistake(
        "_environment.tpl", "REASONMED_DRAIN_S", "REASONMED_DRAIN_SECONDS", "did you mean REASONMED_DRAIN_S?"
    ),
    "ledger": Mistake("_environment.tpl", '{{ include "reasonmed.ledgerEnv" .root }}\n', "", "lacks REASONMED_LEDGER"),
    "trigger": Mistake("_triggers.tpl", "lagThreshold", "lagTreshold", "lagTreshold is no key of KEDA's kafka"),
    "topic": Mistake("_triggers.tpl", "topic: {{ .topic }}", "topic: paths", "paths is not in proto/topics.yaml"),
    "links": Mistake(
        "_helpers.tpl", "enableServiceLinks: false", "enableServiceLinks: true", "set enableServiceLinks: false"
    ),
    "root": Mistake("_helpers.tpl", "readOnlyRootFilesystem: true, ", "", "needs readOnlyRootFilesystem: true"),
    "token": Mistake(
        "accounts.yaml", "automountServiceAccountToken: false", "automountServiceAccountToken: true", "set automount"
    ),
    "surge": Mistake(
        "pools.yaml", "maxSurge: 0", "maxSurge: 1", "asks for GPUs: set strategy.rollingUpdate.maxSurge: 0"
    ),
    "secret": Mistake(
        "_environment.tpl",
        "valueFrom: {secretKeyRef: {{ toJson .root.Values.gateway.keysSecret }}}",
        "value: '[\"x\"]'",
        "REASONMED_GATEWAY__KEYS holds a secret as a value",
        "large",
    ),
    "kind": Mistake("disruption.yaml", "policy/v1", "policy/v2", "there is no schema of policy/v2 PodDisruptionBudget"),
    "field": Mistake("scaling.yaml", "cooldownPeriod", "coolDownPeriod", "'coolDownPeriod' was unexpected"),
    "metric": Mistake(
        "../files/alerts.yaml", "reasonmed_live == 0", "reasonmed_alive == 0", "reasonmed_alive is no metric"
    ),
    "zero": Mistake("_refusals.tpl", "eq (int .service.least) 0", "false", "offsets expire after 7 days", "no zero"),
    "wake": Mistake("_triggers.tpl", "type: kafka", "type: kafka2", "the type kafka2 is not one of"),
}
IN_VALUES: Mapping[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"services": {"generator": {"leest": 0}}}, "leest"),
    "latest": ({"image": {"tag": "latest"}}, "/image/tag"),
    "partitions": ({"services": {"verifier": {"most": 64}}}, "raise kafka.partitions before the first install"),
    "zero": ({"services": {"router": {"least": 0}}}, "offsets.retention.minutes on the brokers"),
    "alias": ({"pools": []}, "calls the alias"),
    "volume": ({"services": {"exporter": {"most": 2}}}, "set dataset.url to an object storage"),
    "least": ({"services": {"router": {"least": 9}}}, "lower least"),
    "monitor": ({"services": {"monitor": {"least": 0}}}, "nothing would wake it"),
    "recipe": ({"recipe": "name: mine"}, "reasonmed recipes show FILE"),
    "setting": ({"services": {"router": {"settings": {"REASONMED_CASE": "3"}}}}, "did you mean REASONMED_CASES?"),
    "value": ({"services": {"router": {"settings": {"REASONMED_LEASE_S": "long"}}}}, "its settings are refused"),
    "training": ({"training": {"run": "first"}}, "/training/image"),
    "login": ({"kafka": {"securityProtocol": "SASL_SSL"}}, "/kafka/loginSecret"),
}


def values(name: str) -> dict[str, Any]:
    """By the name of a file, or defaults with a zero that these brokers' offsets don't outlive."""
    if name == "no zero":
        return {"services": {"router": {"least": 0}}}
    loaded: dict[str, Any] = {} if name == "default" else yaml.safe_load((VALUES / f"{name}.yaml").read_text())
    return loaded


@pytest.mark.parametrize("name", ["default", "small", "large"])
def test_the_chart_passes(name: str) -> None:
    assert problems(render(values(name))) == []


def test_the_large_values_are_of_a_thousand_gpus() -> None:
    assert sum(pool["gpus"] * pool["most"] for pool in values("large")["pools"]) == 1_000


def test_a_training_waits_for_its_queue_and_a_drained_node_is_no_failure() -> None:
    (job,) = [one for one in render(values("large")).of_kind("Job") if "-training-" in one["metadata"]["name"]]
    assert job["spec"]["suspend"] is True
    assert job["spec"]["podFailurePolicy"]["rules"][0]["action"] == "Ignore"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 8
    assert container["args"][:4] == ["train", "/training/runs/cot-1", "--variant", "CoTMed"]
    assert not [one for one in render({}).of_kind("Job") if "-training-" in one["metadata"]["name"]]


@pytest.mark.parametrize("mistake", IN_THE_CHART.values(), ids=IN_THE_CHART)
def test_a_mistake_in_the_chart_is_refused(tmp_path: Path, mistake: Mistake) -> None:
    chart = tmp_path / "chart"
    shutil.copytree(CHART, chart)  # links become files
    path = chart / "templates" / mistake.file
    assert mistake.right in path.read_text()
    path.write_text(path.read_text().replace(mistake.right, mistake.wrong))

    found = problems(render(values(mistake.values), chart))

    assert any(mistake.said in each for each in found), found


@pytest.mark.parametrize(("given", "said"), IN_VALUES.values(), ids=IN_VALUES)
def test_a_mistake_in_values_is_refused(given: dict[str, Any], said: str) -> None:
    try:
        found = problems(render(given))
    except Refused as refused:
        found = [str(refused)]

    assert any(said in each for each in found), found
