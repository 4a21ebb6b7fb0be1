"""Counts the tokens of a snapshot's rows, as TRL will. Run by the training environment's Python; prints JSON.

python lengths.py BASE SNAPSHOT MAX_LENGTH
"""

import json
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "transformers", "trl", "accelerate", "datasets")
LISTED = 20
"""The most rows that are listed as too long; all are counted."""


def main(base: str, snapshot: Path, max_length: int) -> dict[str, Any]:
    """Rows, tokens, and what is too long. `chat_template` is false if the base model has none: nothing is counted."""
    from transformers import AutoTokenizer  # not in the lock: only the training environment has it

    tokenizer = AutoTokenizer.from_pretrained(base)
    found: dict[str, Any] = {"chat_template": bool(tokenizer.chat_template), "versions": _versions()}
    if not tokenizer.chat_template:
        return found
    too_long, lengths, prompts = [], [], []
    for file in sorted(snapshot.glob("jsonl/*/*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                lengths.append(_tokens(tokenizer, [*row["prompt"], *row["completion"]], False))
                prompts.append(_tokens(tokenizer, row["prompt"], True))
                if lengths[-1] > max_length:
                    too_long.append({"record_id": row["record_id"], "tokens": lengths[-1]})
    return {
        **found,
        "rows": len(lengths),
        "tokens": sum(lengths),
        "trained_tokens": sum(lengths) - sum(prompts),
        "longest": max(lengths, default=0),
        "too_long": len(too_long),
        "too_long_rows": too_long[:LISTED],
    }


def _tokens(tokenizer: Any, messages: list[dict[str, str]], prompt: bool) -> int:
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
    return len(tokenizer(text, add_special_tokens=False).input_ids)


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))) + "\n")
