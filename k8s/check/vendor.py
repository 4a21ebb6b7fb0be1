"""`python -m k8s.check.vendor KEDA OPERATOR`: k8s/schemas again, from the sources of both projects.

KEDA: the folder of the Go module github.com/kedacore/keda/v2; OPERATOR: that of
github.com/prometheus-operator/prometheus-operator. `go mod download -json MODULE@VERSION` prints it. Versions and
licences are in k8s/schemas/README.md.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

SCHEMAS = Path(__file__).parents[1] / "schemas"
SCALERS = ("cpu", "kafka", "metrics-api")
"""The triggers that the chart uses."""
KEPT = frozenset(
    (
        *("type", "enum", "pattern", "required", "properties", "additionalProperties", "items"),
        *("minimum", "minItems", "minLength", "maximum", "maxItems", "maxLength", "allOf", "anyOf", "oneOf", "not"),
    )
)
"""The keywords of a CRD's schema that say what is valid."""


def main(keda: Path, operator: Path) -> None:
    """Write every schema."""
    crds = operator / "example/prometheus-operator-crd"
    for path, version in (
        (keda / "config/crd/bases/keda.sh_scaledobjects.yaml", "v1alpha1"),
        (keda / "config/crd/bases/keda.sh_triggerauthentications.yaml", "v1alpha1"),
        (crds / "monitoring.coreos.com_podmonitors.yaml", "v1"),
        (crds / "monitoring.coreos.com_prometheusrules.yaml", "v1"),
    ):
        spec = yaml.safe_load(path.read_text())["spec"]
        kind, group = spec["names"]["kind"], spec["group"]
        found = next(each for each in spec["versions"] if each["name"] == version)
        schema = strict(found["schema"]["openAPIV3Schema"])
        schema["properties"] |= {
            "apiVersion": {"const": f"{group}/{version}"},
            "kind": {"const": kind},
            "metadata": {"type": "object"},
        }
        _write(f"{group}_{version}_{kind}", schema)
    generated = json.loads((keda / "schema/generated/scalers-schema.json").read_text())
    parameters = {each["type"]: each["parameters"] for each in generated["scalers"] if each["type"] in SCALERS}
    _write("keda-scalers", {"kedaVersion": generated["kedaVersion"], "scalers": parameters})


def strict(schema: Any) -> Any:
    """The JSON schema of a CRD's: without texts, and with unknown fields refused, as the API server prunes them."""
    if not isinstance(schema, dict):
        return schema
    out = {key: value for key, value in schema.items() if key in KEPT}
    for key in ("additionalProperties", "items", "not"):
        if key in out:
            out[key] = strict(out[key])
    for key in ("allOf", "anyOf", "oneOf"):
        if key in out:
            out[key] = [strict(each) for each in out[key]]
    if "properties" in out:
        out["properties"] = {name: strict(each) for name, each in out["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            out.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        out.pop("type", None)
        out["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if schema.get("nullable") and "type" in out:
        out["type"] = [out["type"], "null"]
    return out


def _write(name: str, value: Any) -> None:
    text = json.dumps(value, separators=(",", ":"), sort_keys=True)
    (SCHEMAS / f"{name}.json").write_text(f"{text}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
