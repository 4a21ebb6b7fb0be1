"""Every object against the schema of its kind; every trigger against KEDA's.

Kubernetes' own kinds: the files of kubernetes-validate, whose command passes over kinds that it does not know. KEDA's
and Prometheus Operator's: k8s/schemas.
"""

import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry, Resource

from k8s.check.chart import Stream, named

OURS = Path(__file__).parents[1] / "schemas"
KUBERNETES = "1.37.0"
_THEIRS = Path(str(files("kubernetes_validate"))) / f"kubernetes-json-schema/v{KUBERNETES}-local-strict"


def against_schemas(stream: Stream) -> Iterator[str]:
    """Unknown kinds, unknown fields, wrong types."""
    for obj in stream.objects:
        validator = _validator(obj["apiVersion"], obj["kind"])
        if validator is None:
            yield (
                f"{named(obj)}: there is no schema of {obj['apiVersion']} {obj['kind']}: correct them, or add the "
                "kind's schema to k8s/schemas"
            )
        elif (error := best_match(validator.iter_errors(obj))) is not None:
            yield f"{named(obj)}: {error.json_path.removeprefix('$.')}: {error.message}"


def triggers(stream: Stream) -> Iterator[str]:
    """KEDA passes over a metadata key that it does not know: the ScaledObject is Ready, and does something else."""
    scalers = json.loads((OURS / "keda-scalers.json").read_text())["scalers"]
    for obj in stream.of_kind("ScaledObject"):
        for trigger in obj["spec"]["triggers"]:
            where = f"{named(obj)}: the trigger {trigger.get('name', trigger['type'])}"
            known = {each["name"]: each for each in scalers.get(trigger["type"], ())}
            if not known:
                yield f"{where}: the type {trigger['type']} is not one of {', '.join(scalers)}"
                continue
            for key, value in trigger["metadata"].items():
                if key not in known:
                    yield f"{where}: {key} is no key of KEDA's {trigger['type']}: it has {', '.join(known)}"
                elif (allowed := known[key].get("allowedValue")) and value not in allowed:
                    yield f"{where}: {key} is {value}: choose one of {', '.join(allowed)}"
            for name, each in known.items():
                needed = not each.get("optional") and "default" not in each
                if needed and name not in trigger["metadata"]:
                    yield f"{where}: lacks {name}"


@cache
def _definitions() -> Registry[Any]:
    contents = json.loads((_THEIRS / "_definitions.json").read_text())
    return Resource.from_contents(contents) @ Registry()


@cache
def _validator(api_version: str, kind: str) -> Draft202012Validator | None:
    group, _, version = api_version.rpartition("/")
    ours = OURS / f"{group}_{version}_{kind}.json"
    if ours.exists():
        return Draft202012Validator(json.loads(ours.read_text()))
    short = f"{group.split('.')[0]}-{version}" if group else version
    theirs = _THEIRS / f"{kind.lower()}-{short}.json"
    if not theirs.exists():
        return None
    return Draft202012Validator(json.loads(theirs.read_text()), registry=_definitions())


def object_count(stream: Stream) -> dict[str, int]:
    """Objects by kind, for the report."""
    kinds = [obj["kind"] for obj in stream.objects]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}
