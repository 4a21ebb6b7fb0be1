"""The chart with its values, rendered: what the rules are about."""

import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import helm_python
import yaml

from services.contracts.recipe import Recipe
from services.contracts.topics import topics
from services.recipes import load
from services.recipes.check import filled

CHART = Path(__file__).parents[1] / "chart"
RELEASE, NAMESPACE = "reasonmed", "stream"

Object = dict[str, Any]


class Refused(Exception):
    """Helm can't render the chart with these values: says what to change."""


@dataclass(frozen=True)
class Pod:
    """A pod of a workload, and where it is from."""

    owner: Object
    labels: Mapping[str, str]
    spec: Object

    @property
    def name(self) -> str:
        """As kubectl would print its owner."""
        return named(self.owner)

    @property
    def containers(self) -> list[Object]:
        """All, the initial ones first."""
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    @cached_property
    def env(self) -> dict[str, Object]:
        """The environment of its containers, by name."""
        return {each["name"]: each for container in self.containers for each in container.get("env", ())}

    def literal(self, name: str) -> str | None:
        """The value of a variable that is written in the manifest."""
        value: str | None = self.env.get(name, {}).get("value")
        return value

    @property
    def gpus(self) -> int:
        """Of all its containers."""
        return sum(
            int(each.get("resources", {}).get("limits", {}).get("nvidia.com/gpu", 0)) for each in self.containers
        )

    def argument(self, name: str) -> str | None:
        """The value of `--name=VALUE` among the arguments."""
        given = (each for container in self.containers for each in container.get("args", ()))
        return next((each.partition("=")[2] for each in given if each.startswith(f"--{name}=")), None)


@dataclass(frozen=True)
class Stream:
    """Everything that an installation would create."""

    values: Mapping[str, Any]
    objects: list[Object]

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe that the chart publishes."""
        text = self.values["recipe"]
        return Recipe.model_validate(filled(yaml.safe_load(text))) if text else load("default")

    def of_kind(self, *kinds: str) -> Iterator[Object]:
        """The objects of these kinds."""
        return (each for each in self.objects if each["kind"] in kinds)

    @cached_property
    def pods(self) -> list[Pod]:
        """One for each workload."""
        templates = [(owner, owner["spec"]["template"]) for owner in self.of_kind("Deployment", "StatefulSet", "Job")]
        return [Pod(owner, template["metadata"]["labels"], template["spec"]) for owner, template in templates]

    @property
    def pools(self) -> dict[str, Any]:
        """The given pools, by alias."""
        return {pool["alias"]: pool for pool in self.values["pools"]}


def group_of(pod: Pod) -> str:
    """The component of a pod: the consumer group of a worker."""
    return pod.labels["app.kubernetes.io/component"]


def topics_of(group: str) -> list[str]:
    """The topics that a consumer group reads."""
    return [topic.name for topic in topics().values() if not topic.compacted and group in readers(topic.name)]


def readers(topic: str) -> tuple[str, ...]:
    """The consumer groups that read a topic."""
    found = topics()[topic]
    return (found.group,) if found.group else found.read_by


def named(obj: Object) -> str:
    """Kind and name."""
    return f"{obj['kind']} {obj['metadata']['name']}"


def packed(chart: Path = CHART) -> bytes:
    """The chart as `helm package` makes it: a link becomes what it points at."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz", dereference=True, compresslevel=1) as archive:
        archive.add(chart, "reasonmed")
    return data.getvalue()


def render(values: Mapping[str, Any], chart: Path = CHART) -> Stream:
    """The chart with these values over its defaults. Raises Refused."""
    try:
        with helm_python.Chart.load_archive(packed(chart)) as loaded:
            merged = loaded.merge_values(dict(values))
            loaded.validate_schema(dict(values))
            files = loaded.render(dict(values), name=RELEASE, namespace=NAMESPACE)
    except helm_python.HelmError as error:
        raise Refused(str(error)) from error
    texts = [text for name, text in files.items() if not name.endswith("NOTES.txt")]
    return Stream(merged, [each for text in texts for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each])
