"""The same questions and prompts as tasks of lm-evaluation-harness, to check the benchmark against it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from services.benchmark.asking import Candidate, Item, messages
from services.contracts.codec import canonical
from services.core import ids

FINAL_LINE = r"Final answer: ([A-J])\s*$"
"""The line that every exported answer ends with, and nothing else that may state a letter: lm-eval reads this alone."""


def tasks(items: Sequence[Item], candidate: Candidate, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file for `folder`: by set, a task and its prompts. The task is YAML, of which JSON is a
    part. A system message is the same for all: `lm_eval --system_instruction` takes it."""
    by_set: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_set[item.set].append(item)
    for number, (name, own) in enumerate(sorted(by_set.items())):
        file = f"prompts-{number}.jsonl"
        yield f"reasonmed-{number}.yaml", canonical(_task(name, number, folder.absolute() / file, candidate)) + b"\n"
        yield file, b"".join(canonical(_doc(item, candidate)) + b"\n" for item in own)


def _task(name: str, number: int, file: Path, candidate: Candidate) -> dict[str, object]:
    sampling = candidate.sampling
    return {
        "task": f"reasonmed-{number}",
        "task_alias": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(file)}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "prompt",
        "doc_to_target": "answer",
        "generation_kwargs": {
            "until": [],
            "do_sample": sampling.temperature > 0,
            "temperature": sampling.temperature,
            "max_gen_toks": sampling.max_tokens,
        },
        "filter_list": [
            {
                "name": "final-line",
                "filter": [
                    {"function": "regex", "regex_pattern": FINAL_LINE, "group_select": -1},
                    {"function": "take_first"},
                ],
            }
        ],
        "metric_list": [{"metric": "exact_match"}],
    }


def _doc(item: Item, candidate: Candidate) -> dict[str, object]:
    *_, user = messages(item.question, candidate.prompt)
    return {
        "case_id": ids.case_id(item.question),
        "prompt": user["content"],
        "answer": item.question.answer,
    }
