"""What the table of paths costs: `python -m tests.bench.bench_paths [--data ../shared/data] [--cases 2000]`; JSON.

Each case has its question's recorded answers as paths, four at most; every second path has as its thinking two answers
to a question that is no case. Bytes a path are those of the table's files after a compaction, as the exporter
wrote them and without thinking; CPU is the exporter's own for reading a case, making its rows and committing them, in
parts of 5,000 rows.
"""

import argparse
import gzip
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.contracts.base import CallId
from services.contracts.case import Call, Case, Score, Stage, Usage, Verdict
from services.contracts.case import Path as ChainPath
from services.contracts.codec import encode
from services.contracts.question import Question
from services.contracts.topics import CASE_ACCEPTED
from services.core import ids
from services.core.messages import ConsumedRecord
from services.datasets.dataset import Dataset
from services.datasets.maintenance import compact
from services.exporter.layout import PATHS
from services.exporter.partition import Partition
from services.exporter.table import Table
from tests.strategies import case

USAGE = Usage(prompt=900, completion=300)
Answers = list[dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cases", type=int, default=2_000)
    options = parser.parse_args()
    if not options.data.exists():
        sys.stdout.write(json.dumps({"skipped": f"there is no {options.data}"}) + "\n")
        return
    cases, thinking = made(options.data, options.cases)
    shown: dict[str, Any] = {"cases": len(cases), "paths": sum(len(each.paths) for each in cases)}
    shown["text_bytes_a_path"] = round(sum(len(path.text) for each in cases for path in each.paths) / shown["paths"])
    shown["message_bytes_a_case"] = round(sum(len(encode(each)) for each in cases) / len(cases))
    for name, thoughtful in (("without_thinking", False), ("with_thinking", True)):
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
            cpu = write(Path(folder), cases, thinking if thoughtful else {})
            compact(folder, PATHS)
            size = sum(Path(file).stat().st_size for file in Dataset.open(folder, PATHS).files)
        shown[name] = {
            "bytes_a_path": round(size / shown["paths"]),
            "cpu_ms_a_case": round(1_000 * cpu / len(cases), 2),
        }
    sys.stdout.write(json.dumps(shown, indent=2) + "\n")


def made(data: Path, count: int) -> tuple[list[Case], Mapping[CallId, str]]:
    """Cases of real questions and answers, and the thinking of half of their paths."""
    answers: defaultdict[str, Answers] = defaultdict(list)
    for answer in _lines(data / "recordings.jsonl.gz"):
        if answer["choice"] is not None:
            answers[answer["question_id"]].append(answer)
    rows = [row for row in _lines(data / "questions.jsonl.gz") if len(answers[row["id"]]) >= 2]
    cases = [_case(number, row, answers[row["id"]]) for number, row in enumerate(rows[:count])]
    others = [answers[row["id"]] for row in rows[-len(cases) :]]
    thinking = {
        path.calls[0].call_id: f"{other[0]['text']}\n{other[1]['text']}"
        for each, other in zip(cases, others, strict=True)
        for path in each.paths
        if path.slot % 2
    }
    return cases, thinking


def write(folder: Path, cases: list[Case], thinking: Mapping[CallId, str]) -> float:
    """The CPU seconds of the exporter's part."""
    messages = [ConsumedRecord(CASE_ACCEPTED, 0, n, c.case_id.encode(), encode(c), {}) for n, c in enumerate(cases)]
    began = time.process_time()
    partition = Partition.open(Table.open(PATHS.uri(str(folder)), PATHS), CASE_ACCEPTED, 0)
    for message in messages:
        partition.accept(message, 0.0, thinking)
        if partition.due(0.0):
            partition.seal()
    partition.seal()
    return time.process_time() - began


def _case(number: int, row: dict[str, Any], answers: Answers) -> Case:
    fields = {name: row[name] for name in ("question", "options", "answer", "subject", "source") if row.get(name)}
    new = case(Question(**fields, context=tuple(row.get("context") or ())))
    paths = [_path(new, number, slot, answer) for slot, answer in enumerate(answers)]
    return new.with_(paths=tuple(paths), difficulty="easy")


def _path(new: Case, number: int, slot: int, answer: dict[str, Any]) -> ChainPath:
    right = answer["choice"] == new.question.answer
    stages: tuple[Stage, ...] = ("generate", "verify", "score") if right else ("generate", "verify")
    calls = [
        Call(call_id=ids.digest("call", number, slot, each), stage=each, alias="one", usage=USAGE) for each in stages
    ]
    return ChainPath(
        path_id=ids.path_id(new.work_id, "generated", 0, slot),
        origin="generated",
        round=0,
        slot=slot,
        alias=answer["model"].split("-")[0],
        temperature=0.7,
        text=answer["text"],
        finish_reason="stop",
        calls=tuple(calls),
        verdict=Verdict(
            outcome="correct" if right else "error",
            reason=f"The chain states {answer['choice']}, and its steps were checked against the gold answer.",
            by="judge",
            judged="correct" if right else "error",
            stated=answer["choice"],
        ),
        score=Score(value=slot % 6, justification="Its steps follow from the findings.") if right else None,
    )


def _call(call_id: CallId, stage: Stage) -> Call:
    return Call(call_id=call_id, stage=stage, alias="one", usage=USAGE)


def _lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path) as file:
        return [json.loads(line) for line in file]


if __name__ == "__main__":
    main()
