"""Every form in the hands of its trainers' own loaders, outside the lock.

    python -m tests.training.loaders [--trl PYTHON] [--llamafactory PYTHON]

PYTHON is the interpreter of an environment with TRL 1.16 or LLaMA-Factory 0.9.5 (both with torch; the environment of
deploy/vllm-cpu has TRL). Forty records and the paths of forty cases, of every kind of null, are exported in each form;
TRL then does one step of training on a tiny random model, and LLaMA-Factory loads and converts each split. Prints JSON.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, get_args

from services.datasets.export import export
from services.datasets.names import WITH_VARIANT, Form
from tests.unit.datasets.world import judged, records, request, write_parts, write_paths

HERE = Path(__file__).parent
TRL: tuple[Form, ...] = ("messages", "prompt-completion", "think", "dpo", "kto", "verifier")
LLAMAFACTORY: tuple[Form, ...] = ("messages", "think", "sharegpt", "alpaca", "dpo", "kto")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trl")
    parser.add_argument("--llamafactory")
    options = parser.parse_args()
    shown: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_parts(folder / "parts", [records(40)])
        write_paths(folder / "parts", map(judged, range(40)))
        for form in get_args(Form):
            variant = "ReasonMed" if form in WITH_VARIANT else None
            export(request(form=form, variant=variant), folder / "parts", folder / form)
        for name, python, script, forms in (
            ("trl", options.trl, "trl_forms.py", TRL),
            ("llamafactory", options.llamafactory, "llamafactory_forms.py", LLAMAFACTORY),
        ):
            if python is not None:
                shown[name] = {form: run(python, HERE / script, folder / form, form) for form in forms}
    sys.stdout.write(json.dumps(shown, indent=2) + "\n")


def run(python: str, script: Path, folder: Path, form: Form) -> Any:
    """What the script says in its last line; else the end of its error."""
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder.parent / "hub"), "CUDA_VISIBLE_DEVICES": ""}
    ended = subprocess.run([python, str(script), str(folder), form], env=env, capture_output=True, text=True)
    if ended.returncode:
        return {"error": ended.stderr[-600:]}
    return json.loads(ended.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
