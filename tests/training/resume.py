"""`make train-resume`: TRL killed with -9 in the middle and resumed, beside a run that was left alone, on a CPU.

Losses and weights must be the same. Prints JSON; exit 1 where they are not.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import yaml

from services.training.run import last_checkpoint
from tests.training.environment import BASE, ENV, ROOT, measured, reasonmed

STEPS, SAVED = 4, 2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/train-resume"))
    parser.add_argument("--dataset", type=Path, default=Path("build/train-demo/stream/scripted/dataset"))
    options = parser.parse_args()
    folder: Path = options.folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found = compare(folder, options.dataset.absolute())
    print(json.dumps(found, indent=2))
    return 0 if found["same_losses"] and found["same_weights"] else 1


def compare(folder: Path, dataset: Path) -> dict[str, Any]:
    small = yaml.safe_load((ROOT / "deploy/training/small-cpu.yaml").read_text())
    config, index, ledger = folder / "sft.yaml", folder / "evaluation.index", folder / "ledger.sqlite"
    config.write_text(yaml.safe_dump({**small, "max_steps": STEPS, "save_steps": SAVED, "save_total_limit": 3}))
    samples = ROOT / "services/local/samples/questions.jsonl"
    (folder / "one.jsonl").write_bytes(samples.read_bytes().splitlines()[0])
    reasonmed("index", folder / "one.jsonl", "--out", index, ledger=ledger)
    shared = ("--variant", "ResponseMed", "--base", BASE, "--config", config, "--held-out", index, "--env", ENV)

    def train(name: str) -> Sequence[str | Path]:
        return ("train", folder / name, *shared, "--dataset", dataset)

    with measured() as used:
        whole = reasonmed(*train("whole"), ledger=ledger)
    killed_at = _kill(train("killed"), folder / "killed")
    resumed = reasonmed(*train("killed"), ledger=ledger)
    return {
        "steps": STEPS,
        "killed_after_checkpoint": killed_at,
        "resumed_from": Path(resumed["config"]["resume_from_checkpoint"]).name,
        "losses": {"whole": whole["losses"], "resumed": resumed["losses"]},
        "weights": {"whole": whole["weights"], "resumed": resumed["weights"]},
        "same_losses": whole["losses"] == resumed["losses"],
        "same_weights": whole["weights"] == resumed["weights"],
        "whole": used.figures(),
    }


def _kill(command: Sequence[str | Path], run: Path) -> str:
    """Start the run, and kill all its processes with -9 once a checkpoint is complete."""
    process = subprocess.Popen([str(ROOT / ".venv/bin/reasonmed"), *map(str, command)], cwd=ROOT, env=dict(os.environ))
    while (checkpoint := last_checkpoint(run / "model")) is None:
        assert process.poll() is None, f"ended by itself: see {run / 'train.log'}"
        time.sleep(0.1)  # another process writes it
    for each in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        each.send_signal(signal.SIGKILL)
    process.wait()
    return checkpoint.name


if __name__ == "__main__":
    sys.exit(main())
