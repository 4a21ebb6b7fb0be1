"""The chart's numbers are those of services/core/sizing, and fit each other."""

import json
from collections.abc import Iterator
from typing import Any

from k8s.check.chart import Pod, Stream, group_of, topics_of
from services.core import sizing
from services.core.sizing import CONSTANTS


def graces(stream: Stream) -> Iterator[str]:
    """Nothing is killed while it drains: SIGKILL comes more than 30 s after the end of the drain."""
    for pod in stream.pods:
        drain = pod.literal("REASONMED_DRAIN_S") or pod.argument("shutdown-timeout")
        if drain is None:
            continue
        needed = _pre_stop(pod) + int(drain) + 30
        grace = pod.spec.get("terminationGracePeriodSeconds", 30)
        if grace <= needed:
            yield (
                f"{pod.name}: terminationGracePeriodSeconds {grace} must be more than preStop + drain + 30 s = {needed}"
            )


def drains(stream: Stream) -> Iterator[str]:
    """99 of 100 calls in flight end within the drain, so that they are not paid again."""
    for pod in stream.pods:
        drain = pod.literal("REASONMED_DRAIN_S") or pod.argument("shutdown-timeout")
        longest = max((stream.pools[alias]["longestSeconds"] for alias in _called(stream, pod)), default=0)
        if drain is not None and int(drain) < longest:
            yield f"{pod.name}: drains for {drain} s, but 99 of 100 calls end only within {longest} s: raise the drain"


def calls(stream: Stream) -> Iterator[str]:
    """A worker's cases all have their calls: C = cases × width ≤ max_calls."""
    waves = sizing.waves(stream.recipe)
    for pod in stream.pods:
        models = pod.literal("REASONMED_MODELS")
        if models is None:
            continue
        cases = int(pod.literal("REASONMED_CASES") or 0)
        endpoints = json.loads(models)
        for alias, width in sizing.widths(waves[group_of(pod)]).items():
            needed = sizing.max_calls(cases, width)
            if (given := endpoints.get(alias, {}).get("max_calls", 0)) < needed:
                yield (
                    f"{pod.name}: max_calls of {alias} is {given}, but {cases} cases make {width} calls at once each: "
                    f"set {needed}"
                )


def equal(stream: Stream) -> Iterator[str]:
    """Every number that the chart computes is the one that Python computes."""
    for what, chart, python in (*_workers(stream), *_servers(stream)):
        if chart != python:
            yield f"{what} is {chart} by the chart, {python} by services/core/sizing: make _sizing.tpl the same"


def _workers(stream: Stream) -> Iterator[tuple[str, Any, Any]]:
    values, waves = stream.values, sizing.waves(stream.recipe)
    call_s = {alias: pool["callSeconds"] for alias, pool in stream.pools.items()}
    longest_s = {alias: pool["longestSeconds"] for alias, pool in stream.pools.items()}
    for pod in stream.pods:
        group = group_of(pod)
        if group not in values["services"]:
            continue
        given, asked = values["services"][group], waves.get(group, [])
        drain = sizing.drain_s(asked, longest_s) if asked else CONSTANTS.drain_s
        yield f"{pod.name}: the drain", int(pod.literal("REASONMED_DRAIN_S") or 0), drain
        grace = sizing.grace_s(drain, CONSTANTS.gateway_pre_stop_s if group == "gateway" else 0)
        yield f"{pod.name}: the grace", pod.spec["terminationGracePeriodSeconds"], grace
        memory = int(pod.containers[0]["resources"]["limits"]["memory"])
        in_flight = given.get("cases", 0) * max(1, len(topics_of(group)))
        yield f"{pod.name}: the memory", memory, _memory(group, in_flight, values["kafka"]["maxMessageBytes"])
        if group == "gateway":
            continue
        at_once, seconds = (given["cases"], sizing.case_s(asked, call_s)) if asked else (1, CONSTANTS.message_s[group])
        threshold = sizing.threshold(at_once, seconds, values["waitSeconds"])
        yield f"{pod.name}: the threshold", _target(stream, pod, f"groups.{group}.left"), threshold


def _memory(group: str, in_flight: int, largest: int) -> int:
    match group:
        case "exporter":
            return CONSTANTS.base_bytes + CONSTANTS.copies_of_a_part * CONSTANTS.part_bytes
        case "gateway":
            return CONSTANTS.base_bytes + CONSTANTS.gateway_bytes
        case _:
            return sizing.memory_bytes(in_flight, largest)


def _servers(stream: Stream) -> Iterator[tuple[str, Any, Any]]:
    wait_s, start_s = stream.values["waitSeconds"], stream.values["servers"]["startSeconds"]
    for pod in stream.pods:
        if (alias := pod.labels.get("reasonmed/pool")) is None:
            continue
        given = stream.pools[alias]
        at_once, longest_s = given["maxNumSeqs"], given["longestSeconds"]
        grace = sizing.grace_s(longest_s, CONSTANTS.server_pre_stop_s)
        yield f"{pod.name}: the grace", pod.spec["terminationGracePeriodSeconds"], grace
        threshold = sizing.threshold(at_once, given["callSeconds"], max(wait_s, start_s))
        yield f"{pod.name}: the threshold", _target(stream, pod, f"models.{alias}.wanted"), threshold
        probes = pod.containers[0]["startupProbe"]["failureThreshold"]
        yield f"{pod.name}: the start-up probe's failureThreshold", probes, sizing.start_probes(start_s)
        if "command" in given:
            continue
        yield f"{pod.name}: --max-num-seqs", int(pod.argument("max-num-seqs") or 0), at_once
        yield (
            f"{pod.name}: --max-num-queued-reqs",
            int(pod.argument("max-num-queued-reqs") or 0),
            sizing.queue_cap(at_once),
        )
        yield f"{pod.name}: --shutdown-timeout", int(pod.argument("shutdown-timeout") or 0), longest_s
        if (model := stream.recipe.models.get(alias)) is not None:
            yield f"{pod.name}: --served-model-name", pod.argument("served-model-name"), model.served
            yield f"{pod.name}: --max-model-len", int(pod.argument("max-model-len") or 0), model.context_tokens


def _target(stream: Stream, pod: Pod, location: str) -> int | None:
    for obj in stream.of_kind("ScaledObject"):
        if obj["spec"]["scaleTargetRef"]["name"] == pod.owner["metadata"]["name"]:
            for trigger in obj["spec"]["triggers"]:
                if trigger["metadata"].get("valueLocation") == location:
                    return int(trigger["metadata"]["targetValue"])
    return None


def _called(stream: Stream, pod: Pod) -> list[str]:
    """The aliases that a worker calls by the recipe; of a pool, its own."""
    if alias := pod.labels.get("reasonmed/pool"):
        return [alias]
    return list(sizing.widths(sizing.waves(stream.recipe).get(group_of(pod), [])))


def _pre_stop(pod: Pod) -> int:
    waits = [each.get("lifecycle", {}).get("preStop", {}).get("sleep", {}) for each in pod.containers]
    return max(int(each.get("seconds", 0)) for each in waits)
