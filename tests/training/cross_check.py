"""`make train-check`: the benchmark held against lm-eval, prompt by prompt, on one vLLM server at temperature 0.

Texts must be byte-equal. Letters are read by the project's reader and by a regular expression of lm-eval's; each that
differs is listed with the end of its text. Prints JSON; exit 1 where a text differs.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from services.benchmark.weights import digest, served_name
from services.llm.scripted.known import SAMPLES
from tests.training.environment import ENV, cpu_seconds, measured, reasonmed, run, served

SUBSET = 50


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/train-check"))
    parser.add_argument("--questions", type=Path, default=SAMPLES)
    parser.add_argument("--weights", type=Path, default=Path("build/train-demo/ResponseMed/model"), help="of any model")
    parser.add_argument("--max-tokens", default="256")
    options = parser.parse_args()
    folder: Path = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("ledger.sqlite*"):
        file.unlink()  # each run asks anew
    found = check(folder, options.questions, options.weights, options.max_tokens)
    print(json.dumps(found, indent=2))
    return 1 if found["texts_that_differ"] or not found["questions"] else 0


def check(folder: Path, questions: Path, weights: Path, max_tokens: str) -> dict[str, Any]:
    tasks, name = folder / "tasks", "candidate"
    with served(name, weights, folder / "server.log") as url:
        began = cpu_seconds()
        with measured() as ours:
            report = reasonmed(
                *("benchmark", questions, "--model", name, "--weights", weights, "--subset", str(SUBSET)),
                *("--max-tokens", max_tokens, "--tasks", tasks, "--llm-url", url, "--to", folder / "benchmark.json"),
                ledger=folder / "ledger.sqlite",
            )
        our_cpu, began = cpu_seconds() - began, cpu_seconds()
        with measured() as theirs:
            _lm_eval(folder, tasks, served_name(name, digest(weights)), url)
        their_cpu = cpu_seconds() - began
    answers = {row["case_id"]: row for row in report["answers"]}
    harness = _samples(folder / "lm-eval")
    differ = [case_id for case_id, row in answers.items() if row["samples"][0]["text"] != harness[case_id]["text"]]
    letters = [
        {"case_id": case_id, "ours": ours_, "lm_eval": theirs_, "end": row["samples"][0]["text"][-80:]}
        for case_id, row in answers.items()
        if (ours_ := row["samples"][0]["stated"]) != (theirs_ := harness[case_id]["letter"])
    ]
    return {
        "questions": len(answers),
        "texts_equal": len(answers) - len(differ),
        "texts_that_differ": differ,
        "letters_equal": len(answers) - len(letters),
        "letters_that_differ": letters,
        "stated": report["groups"][0]["stated"],
        "cut_off": report["groups"][0]["cut_off"],
        "right": {
            "ours": sum(row["samples"][0]["stated"] == row["gold"] for row in answers.values()),
            "lm_eval": sum(harness[case_id]["letter"] == row["gold"] for case_id, row in answers.items()),
        },
        "cpu_s_per_call": {
            "ours": round(our_cpu / len(answers), 4),
            "lm_eval": round(their_cpu / len(answers), 4),
        },
        "seconds": {"ours": round(ours.seconds, 1), "lm_eval": round(theirs.seconds, 1)},
    }


def _lm_eval(folder: Path, tasks: Path, model: str, url: str) -> None:
    names = ",".join(sorted(file.stem for file in tasks.glob("*.yaml")))
    arguments = f"model={model},base_url={url}/chat/completions,num_concurrent=8,max_retries=3,tokenized_requests=False"
    for old in (folder / "lm-eval").rglob("samples_*.jsonl"):
        old.unlink()
    run(
        [
            *(ENV / "bin/lm_eval", "--model", "local-chat-completions", "--model_args", arguments),
            *("--include_path", tasks, "--tasks", names, "--apply_chat_template"),
            *("--log_samples", "--output_path", folder / "lm-eval"),
        ],
        HF_HUB_OFFLINE="1",
        HF_DATASETS_OFFLINE="1",
        OPENAI_API_KEY="none",
    )


def _samples(folder: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for file in folder.rglob("samples_*.jsonl"):
        for line in file.read_text(encoding="utf-8").splitlines():
            sample = json.loads(line)
            letter = sample["filtered_resps"][0]
            found[sample["doc"]["case_id"]] = {
                "text": sample["resps"][0][0],
                "letter": None if letter == "[invalid]" else letter,
            }
    return found


if __name__ == "__main__":
    sys.exit(main())
