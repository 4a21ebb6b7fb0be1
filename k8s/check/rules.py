"""All rules, in the order in which their problems are listed."""

from collections.abc import Callable, Iterator

from k8s.check import names, numbers, pods, scaling, schemas
from k8s.check.chart import Stream

RULES: tuple[Callable[[Stream], Iterator[str]], ...] = (
    *(schemas.against_schemas, schemas.triggers),
    *(pods.restricted, pods.identity, pods.images, pods.secrets, pods.resources, pods.gpus, pods.companions),
    *(scaling.signals, scaling.sizes),
    *(numbers.graces, numbers.drains, numbers.calls, numbers.equal),
    *(names.settings, names.metrics),
)


def problems(stream: Stream) -> list[str]:
    """What is wrong, each with what to change."""
    return [problem for rule in RULES for problem in rule(stream)]
