"""Names that the chart takes from the code: settings, metrics."""

import os
import re
from collections.abc import Iterator
from dataclasses import fields
from difflib import get_close_matches
from unittest import mock

from pydantic import ValidationError

from k8s.check.chart import Pod, Stream, named
from services.core.endpoint import Endpoint
from services.exporter.settings import ExporterSettings
from services.gateway.settings import GatewaySettings
from services.router.settings import RouterSettings
from services.runtime.metric_names import MetricName
from services.runtime.process.settings import Settings
from services.runtime.process.settings_help import settings_of

SETTINGS: dict[str, type[Settings]] = {
    "router": RouterSettings,
    "gateway": GatewaySettings,
    "exporter": ExporterSettings,
}
METRIC = re.compile(r"\breasonmed_[a-z_]+\b")
SUFFIX = re.compile(r"_(total|bucket|count|sum|created)$")
ENDPOINT = re.compile(r"REASONMED_MODELS__(?P<alias>[A-Z0-9-]+)__(?P<field>[A-Z_]+)")
SECRETS = {"REASONMED_LEDGER": "valkey://h", "REASONMED_GATEWAY__KEYS": '["0123456789abcdef"]'}
"""In the place of a Secret's value; others get `secret`."""


def settings(stream: Stream) -> Iterator[str]:
    """Every REASONMED_ variable is a setting of the process that gets it, and all of them together are valid."""
    for pod in stream.pods:
        cls = SETTINGS.get(pod.spec["containers"][0]["name"], Settings)
        known = {each.name for each in settings_of(cls)}
        wrong = [name for name in pod.env if name.startswith("REASONMED_") and not _known(name, known)]
        for name in wrong:
            close = get_close_matches(name, known, n=1)
            yield f"{pod.name}: {name} is no setting{f': did you mean {close[0]}?' if close else ''}"
        if not wrong and any(name.startswith("REASONMED_") for name in pod.env):
            yield from _valid(pod, cls)
        if "REASONMED_DRAIN_S" in pod.env and "REASONMED_LEDGER" not in pod.env:
            yield f"{pod.name}: lacks REASONMED_LEDGER: each pod would have a ledger of its own, and pay again"


def metrics(stream: Stream) -> Iterator[str]:
    """Every metric that alarms, board or triggers ask for is exported."""
    known = {str(each) for each in MetricName}
    for obj in stream.objects:
        if obj["kind"] in ("PrometheusRule", "ScaledObject", "ConfigMap") and "recipe" not in obj["metadata"]["name"]:
            for name in sorted(set(METRIC.findall(str(obj.get("spec", obj.get("data")))))):
                if name not in known and SUFFIX.sub("", name) not in known:
                    yield f"{named(obj)}: {name} is no metric: see docs/metrics.md"


def _known(name: str, known: set[str]) -> bool:
    if endpoint := ENDPOINT.fullmatch(name):
        return endpoint["field"].lower() in {each.name for each in fields(Endpoint)}
    return name in known


def _valid(pod: Pod, cls: type[Settings]) -> Iterator[str]:
    env = {name: each.get("value", SECRETS.get(name, "secret")) for name, each in pod.env.items()}
    try:
        with mock.patch.dict(os.environ, env, clear=True):
            cls()
    except (ValidationError, ValueError) as error:
        yield f"{pod.name}: its settings are refused: {error}"
