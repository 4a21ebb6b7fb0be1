"""The model card of a training run: what was trained on what, and what it is worth. Pure."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml


def card(record: Mapping[str, Any], benchmark: Mapping[str, Any] | None) -> str:
    """The whole README.md, from training.json and the report of a benchmark, if there is one."""
    base, snapshot = record["base"], record["snapshot"]
    front = {
        "base_model": base["name"],
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["medical", "reasoning", "sft", "trl"],
    }
    held_out = snapshot["held_out"]
    lines = [
        "---",
        yaml.safe_dump(front, sort_keys=False).strip(),
        "---",
        "",
        f"# {Path(base['name']).name} trained on {record['variant']}",
        "",
        "For research. It is no medical device: nobody has tested what it says on patients.",
        "",
        "| | |",
        "| --- | --- |",
        f"| weights | sha256 {record['weights']} |",
        f"| base | {base['name']}, sha256 {base['digest'] or 'not known'} |",
        f"| snapshot | {record['variant']}, {snapshot['records']} records, watermark {_pairs(snapshot['watermark'])} |",
        f"| recipes | {_pairs(snapshot['recipes'])} |",
        f"| held out | {held_out['index']}, sha256 {held_out['sha256']}; {held_out['questions']} questions left out |",
        f"| rows | {record['lengths']['rows']}, the longest of {record['lengths']['longest']} tokens; none was cut |",
        f"| loss on | {record['lengths']['trained_tokens']} of {record['lengths']['tokens']} tokens: the answers |",
        f"| versions | {_pairs(record['versions'])} |",
        "",
        "## Training",
        "",
        "```yaml",
        yaml.safe_dump(dict(record["config"]), sort_keys=False).strip(),
        "```",
        "",
        "## Benchmark",
        "",
        *(
            _benchmark(benchmark)
            if benchmark
            else ["Not measured yet: `reasonmed benchmark --weights` writes it here."]
        ),
        "",
    ]
    return "\n".join(lines)


def _benchmark(report: Mapping[str, Any]) -> Iterator[str]:
    sampling, held_out = report["sampling"], report["held_out"]
    yield (
        f"`reasonmed benchmark`: prompt {report['prompt']}, temperature {sampling['temperature']}, {report['samples']} "
        "sample(s) a question. An answer that states no letter is wrong. "
        + (
            "Whether the training had these questions was not checked."
            if held_out["index"] is None
            else f"Of these questions, {held_out['missing']} are not in the index {held_out['index']}."
        )
    )
    yield ""
    yield "| set | subject | questions | accuracy | 95% | stated |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for group in report["groups"]:
        found = group["accuracy"]
        interval = "–" if found["low"] is None else f"{found['low']:.1%} to {found['high']:.1%}"
        yield (
            f"| {group['set']} | {group['subject']} | {group['questions']} | {found['mean']:.1%} | {interval} | "
            f"{group['stated']:.1%} |"
        )


def _pairs(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in found.items()) or "none"
