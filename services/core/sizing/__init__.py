"""How many pods and servers, and with what limits: the arithmetic of a deployment.

Pure. The Helm chart computes the same numbers in k8s/chart/templates/_sizing.tpl, from the same constants.json;
`make check` holds both equal.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from services.contracts.recipe import Recipe


class Constants(NamedTuple):
    """What does not depend on a deployment. Seconds and bytes."""

    server_pre_stop_s: int
    """From a model server's deletion to its SIGTERM: workers look up a pool's addresses every 5 s."""
    gateway_pre_stop_s: int
    """The same of the gateway: balancers drop its address meanwhile."""
    drain_s: int
    """Of a service that calls no models."""
    after_drain_s: int
    """From the end of a drain to SIGKILL: more than the 30 s that the last commit, spans and closing may take."""
    base_bytes: int
    """Memory of a worker with no case."""
    copies_of_a_case: int
    """In memory: as bytes read, as a value, as bytes written."""
    gateway_bytes: int
    """Of 512 connections, each with a question of 256 KiB."""
    part_bytes: int
    """Of the exporter's open parts: REASONMED_EXPORT__BUFFER_BYTES."""
    copies_of_a_part: int
    """In memory, while it is written."""
    wake_threshold: int
    """Of a trigger that asks for one pod, however much is left."""
    queue_percent: int
    """Calls that a model server takes, running and queued, in percent of those that it runs at once."""
    probe_s: int
    """Between two start-up probes of a model server."""
    message_s: Mapping[str, float]
    """CPU seconds of a message, by service that calls no models (docs/benchmarks.md, "A thousand real questions")."""


CONSTANTS = Constants(**json.loads((Path(__file__).parent / "constants.json").read_text()))

Waves = list[dict[str, int]]
"""The calls of a case, one wave after the other: in each, by alias, how many at once."""


def waves(recipe: Recipe) -> dict[str, Waves]:
    """By consumer group that calls models, what one case asks for."""
    routing = recipe.routing
    judged = max(len(recipe.generate.plan), routing.keep, routing.strong_paths)
    return {
        "generator": [dict(Counter(slot.alias for slot in recipe.generate.plan))],
        "verifier": [{task.alias: judged} for task in (recipe.verify, recipe.score) if task is not None],
        "refiner-medium": [{recipe.refine.alias: routing.keep}],
        "refiner-difficult": [{recipe.reason.alias: routing.strong_paths}],
        "summarizer": [{recipe.summarize.alias: routing.keep}],
    }


def widths(of_group: Waves) -> dict[str, int]:
    """By alias, the most calls that one case makes at once."""
    return {alias: max(wave.get(alias, 0) for wave in of_group) for wave in of_group for alias in wave}


def case_s(of_group: Waves, call_s: Mapping[str, float]) -> float:
    """Seconds of one case; `call_s`: of a call, by alias."""
    return sum(max(call_s[alias] for alias in wave) for wave in of_group)


def drain_s(of_group: Waves, longest_s: Mapping[str, int]) -> int:
    """Seconds that calls in flight have after SIGTERM; `longest_s`: the 99th percentile of a call, by alias."""
    return max(longest_s[alias] for wave in of_group for alias in wave)


def threshold(at_once: int, seconds: float, wait_s: float) -> int:
    """What one pod gets of what is left: all is done within `wait_s` and the time of one more.

    `at_once`: what a pod works on at the same time; `seconds`: the time of one. Of a worker: cases. Of a model server:
    calls.
    """
    return max(1, math.floor(at_once * (1 + wait_s / seconds)))


def pods(left: int, of_one: int, *, least: int, most: int) -> int:
    """Pods for what is left; `of_one` is the threshold."""
    return min(most, max(least, math.ceil(left / of_one)))


def max_calls(cases: int, width: int) -> int:
    """A worker's limit of calls in flight to a server: no case waits for another case's calls."""
    return cases * width


def grace_s(drain_s: int, pre_stop_s: int = 0) -> int:
    """From a pod's deletion to SIGKILL."""
    return pre_stop_s + drain_s + CONSTANTS.after_drain_s


def memory_bytes(cases: int, largest_case: int) -> int:
    """Of a worker with so many cases in flight: request and limit."""
    return CONSTANTS.base_bytes + CONSTANTS.copies_of_a_case * cases * largest_case


def queue_cap(at_once: int) -> int:
    """The calls that a model server takes before it answers 503: a fifth more than it runs, so none of its slots is
    idle between two calls. At the 503, workers slow down or try the next server."""
    return -(-at_once * CONSTANTS.queue_percent // 100)


def start_probes(start_s: int) -> int:
    """Failed start-up probes after which a model server is killed: twice as long as a start takes."""
    return -(-2 * start_s // CONSTANTS.probe_s)
