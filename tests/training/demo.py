"""`make train-demo`: records of a scripted demo, a small model before and after training on them, all on two cores.

Shows that the round works: after it, the model states an answer in the form that it was trained on. What it answers is
as good as chance: the training text is a script's. Prints JSON; the environment is made by deploy/vllm-cpu/install.sh.
"""

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

from services.llm.scripted.known import SAMPLES
from tests.training.environment import BASE, ENV, ROOT, measured, reasonmed, run, served

ANSWERS = ("--max-tokens", "256")
CONFIG = ROOT / "deploy" / "training" / "small-cpu.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/train-demo"))
    parser.add_argument("--questions", type=Path, default=SAMPLES, help="the benchmark's; of a large file, 50 of them")
    parser.add_argument("--variants", nargs="+", default=["ResponseMed"])
    options = parser.parse_args()
    folder: Path = options.folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(json.dumps(demo(folder, options.questions, options.variants), indent=2))


def demo(folder: Path, questions: Path, variants: list[str]) -> dict[str, Any]:
    """The whole round, for each variant; the first is compared with the base, the others with it as well."""
    began, ledger, steps = time.monotonic(), folder / "ledger.sqlite", {}
    index = folder / "evaluation.index"

    def benchmark(name: str, weights: Path, *against: str) -> dict[str, Any]:
        with measured() as used, served(name, weights, folder / f"{name}-server.log") as url:
            asked = ("--subset", "50", "--held-out", index, "--llm-url", url, "--to", folder / f"{name}.json", *ANSWERS)
            made = reasonmed(
                "benchmark", questions, "--model", name, "--weights", weights, *asked, *against, ledger=ledger
            )
        steps[f"benchmark {name}"] = used.figures()
        return _short(made)

    with measured() as used:
        run([ROOT / ".venv/bin/reasonmed", "demo", "--only", "scripted", "--folder", folder / "stream"])
        reasonmed("index", questions, "--out", index, ledger=ledger)
    steps["records"] = used.figures()
    figures = {"base": benchmark("base", BASE)}
    for variant in variants:
        with measured() as used:
            trained = reasonmed(
                *("train", folder / variant, "--variant", variant, "--base", BASE, "--config", CONFIG),
                *("--held-out", index, "--env", ENV, "--dataset", folder / "stream/scripted/dataset"),
                ledger=ledger,
            )
        steps[f"train {variant}"] = used.figures()
        against = folder / f"{variants[0]}.json" if variant != variants[0] else folder / "base.json"
        figures[variant] = {
            **benchmark(variant, folder / variant / "model", "--against", str(against)),
            "first_loss": trained["losses"][0]["loss"],
            "last_loss": trained["losses"][-1]["loss"],
            "rows": trained["lengths"]["rows"],
        }
    return {"seconds": round(time.monotonic() - began), "steps": steps, "figures": figures}


def _short(report: dict[str, Any]) -> dict[str, Any]:
    whole = report["groups"][0]
    names = ("questions", "stated", "accuracy", "cut_off", "failed")
    compared = report.get("against")
    return {
        **{name: whole[name] for name in names},
        "requests": report["requests"],
        **({"against": compared["model"]["served"], **compared["differences"][0]} if compared else {}),
    }


if __name__ == "__main__":
    main()
