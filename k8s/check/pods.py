"""Rules of pods: Pod Security's level `restricted`, and ours."""

import re
from collections.abc import Iterator

from k8s.check.chart import Object, Pod, Stream, named

VOLUMES = frozenset(
    ("configMap", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret")
)
"""Those of `restricted`, and images; no csi."""
SECRET = re.compile(r"(PASSWORD|SECRET|TOKEN|KEYS?)$")
LOGIN = re.compile(r"://[^/@\s]*:[^/@\s]+@")
"""A password in a URL."""


def restricted(stream: Stream) -> Iterator[str]:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards. A Deployment that violates it is only warned
    about; its pods are refused."""
    for pod in stream.pods:
        for what in ("hostNetwork", "hostPID", "hostIPC"):
            if pod.spec.get(what):
                yield f"{pod.name}: {what} is refused by Pod Security: leave it out"
        for volume in pod.spec.get("volumes", ()):
            if not set(volume) - {"name"} <= VOLUMES:
                yield f"{pod.name}: the volume {volume['name']} is none of {', '.join(sorted(VOLUMES))}"
        for container in pod.containers:
            yield from _confined(pod, container)


def _confined(pod: Pod, container: Object) -> Iterator[str]:
    of_pod, own = pod.spec.get("securityContext", {}), container.get("securityContext", {})
    both = {**of_pod, **own}
    wanted = {
        "runAsNonRoot: true": both.get("runAsNonRoot") is True,
        "runAsUser other than 0": both.get("runAsUser") != 0,
        "seccompProfile: {type: RuntimeDefault}": both.get("seccompProfile", {}).get("type") == "RuntimeDefault",
        "allowPrivilegeEscalation: false": own.get("allowPrivilegeEscalation") is False,
        "capabilities: {drop: [ALL]}": own.get("capabilities") == {"drop": ["ALL"]},
        "readOnlyRootFilesystem: true": own.get("readOnlyRootFilesystem") is True,
        "privileged left out": "privileged" not in own,
        "no hostPort": not any("hostPort" in port for port in container.get("ports", ())),
    }
    for what, is_so in wanted.items():
        if not is_so:
            yield f"{pod.name}: the container {container['name']} needs {what}"


def identity(stream: Stream) -> Iterator[str]:
    """A ServiceAccount each, no token, no service links."""
    accounts = {each["metadata"]["name"]: each for each in stream.of_kind("ServiceAccount")}
    for pod in stream.pods:
        account = pod.spec.get("serviceAccountName")
        if account not in accounts:
            yield f"{pod.name}: serviceAccountName is {account}: name a ServiceAccount of the chart"
        for what in ("automountServiceAccountToken", "enableServiceLinks"):
            if pod.spec.get(what) is not False:
                yield f"{pod.name}: set {what}: false"
    for name, account in accounts.items():
        if account.get("automountServiceAccountToken") is not False:
            yield f"ServiceAccount {name}: set automountServiceAccountToken: false"


def images(stream: Stream) -> Iterator[str]:
    """A tag other than latest, or a digest."""
    for pod in stream.pods:
        for container in pod.containers:
            _, _, tag = container["image"].rpartition("/")[2].partition(":")
            if tag in ("", "latest") and "@sha256:" not in container["image"]:
                yield f"{pod.name}: the image {container['image']}: name a version or a digest, not latest"


def secrets(stream: Stream) -> Iterator[str]:
    """Secrets by reference only."""
    for obj in stream.of_kind("Secret"):
        yield f"{named(obj)}: the chart writes no Secret: name one of the user's"
    for pod in stream.pods:
        for name, variable in pod.env.items():
            value = variable.get("value", "")
            if value and (SECRET.search(name) or LOGIN.search(value) or '"api_key"' in value):
                yield f"{pod.name}: {name} holds a secret as a value: use valueFrom.secretKeyRef"
    for obj in stream.of_kind("ConfigMap"):
        for key, text in obj.get("data", {}).items():
            if LOGIN.search(text):
                yield f"{named(obj)}: {key} holds a password in a URL: move it into a Secret"


def resources(stream: Stream) -> Iterator[str]:
    """A memory limit that is requested whole; no CPU limit."""
    for pod in stream.pods:
        for container in pod.containers:
            given = container.get("resources", {})
            requests, limits = given.get("requests", {}), given.get("limits", {})
            if "memory" not in limits or limits["memory"] != requests.get("memory"):
                yield f"{pod.name}: the container {container['name']} needs a memory limit that equals its request"
            if "cpu" in limits:
                yield f"{pod.name}: leave out the CPU limit: a worker that is throttled misses its heartbeats"


def gpus(stream: Stream) -> Iterator[str]:
    """A roll-out that needs a spare GPU never ends. A Job has none."""
    for pod in stream.pods:
        surge = pod.owner["spec"].get("strategy", {}).get("rollingUpdate", {}).get("maxSurge")
        if pod.gpus and pod.owner["kind"] != "Job" and surge != 0:
            yield f"{pod.name}: asks for GPUs: set strategy.rollingUpdate.maxSurge: 0, not {surge}"


def companions(stream: Stream) -> Iterator[str]:
    """Each workload has its NetworkPolicy; each that scales, its ScaledObject and PodDisruptionBudget. Selectors select
    the pods that they mean."""
    scaled = {each["spec"]["scaleTargetRef"]["name"] for each in stream.of_kind("ScaledObject")}
    for pod in stream.pods:
        for kind, field in (("NetworkPolicy", "podSelector"), ("PodDisruptionBudget", "selector")):
            if kind == "PodDisruptionBudget" and pod.owner["metadata"]["name"] not in scaled:
                continue
            chosen = [each["spec"][field]["matchLabels"] for each in stream.of_kind(kind)]
            if sum(labels.items() <= pod.labels.items() for labels in chosen) != 1:
                yield f"{pod.name}: is selected by no {kind}, or by several: give it its own"
        selector = pod.owner["spec"].get("selector", {}).get("matchLabels", {})
        if not selector.items() <= pod.labels.items():
            yield f"{pod.name}: its selector does not match its own pods' labels: use the same"
    for name in sorted(scaled - {pod.owner["metadata"]["name"] for pod in stream.pods}):
        yield f"ScaledObject: scales {name}, which the chart does not create: correct scaleTargetRef"
