"""How fast question files become submissions, by format; and what it costs in memory.

    .venv/bin/python tests/bench/bench_importers.py [--rows 10000]

Each file is read whole by `services.importers.files.submit_file`, as `reasonmed submit` does, positions and all, into a
sink that confirms at once. Prints JSON, of each format: rows and megabytes a second; peak_mb, how much the process grew
beyond what it had before the first file, at most (its high-water mark never falls, so formats are read in turn, each in
a process of its own).
"""

import argparse
import asyncio
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from services.core.messages import OutgoingRecord
from services.importers.files import Observer, submit_file
from services.importers.formats import Asked
from services.importers.submit import Stop
from tests.unit.importers import sources
from tests.unit.importers.sources import OPTIONS, TEXTS, lines, table

STEM = "A sailor has bleeding gums, and bruises after the slightest knock. " * 10
"""670 characters: about what a MedQA stem has."""


class NoSink:
    """Confirms at once."""

    async def publish(self, messages: Sequence[OutgoingRecord]) -> None:
        """All of them."""


def write(name: str, path: Path, count: int) -> None:
    """A file of this format."""
    numbered = [f"{STEM} {number}" for number in range(count)]
    plain: list[dict[str, Any]] = [{"question": stem, "options": OPTIONS, "answer": "C"} for stem in numbered]
    match name:
        case "questions":
            path.write_bytes(lines(plain))
        case "medqa":
            path.write_bytes(lines(sources.medqa(question=stem) for stem in numbered))
        case "medmcqa":
            path.write_bytes(lines({**sources.medmcqa(n % 4, n), "question": stem} for n, stem in enumerate(numbered)))
        case "mmlu":
            path.write_bytes(table([stem, *TEXTS, "C"] for stem in numbered))
        case "pubmedqa":
            path.write_text(json.dumps({str(n): sources.pubmedqa(question=stem) for n, stem in enumerate(numbered)}))
        case "csv":
            path.write_bytes(table([["question", *"ABCD", "answer"], *([stem, *TEXTS, "C"] for stem in numbered)]))
        case "parquet":
            parquet.write_table(pa.Table.from_pylist(plain), path, row_group_size=5_000)


def read(name: str, path: Path, count: int) -> dict[str, float]:
    """Take the file; what it came to."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    result = asyncio.run(submit_file(path, Asked(), "bench", NoSink(), observer=Observer(), stop=Stop()))
    took_s = time.perf_counter() - begun
    assert (result.format, result.submitted, result.rejected) == (name, count, 0), result
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {
        "rows": count,
        "rows_per_s": round(count / took_s),
        "mb_per_s": round(path.stat().st_size / 1e6 / took_s, 1),
        "peak_mb": round(grown_kb / 1024, 1),
    }


FILES = {
    "questions": "q.jsonl",
    "medqa": "medqa.jsonl",
    "medmcqa": "medmcqa.jsonl",
    "mmlu": "anatomy_test.csv",
    "pubmedqa": "ori_pqal.json",
    "csv": "plain.csv",
    "parquet": "plain.parquet",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    rows = parser.parse_args().rows
    figures = {}
    processes = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        for name, file in FILES.items():
            path = Path(folder) / file
            with processes.Pool(1) as writer:
                writer.apply(write, (name, path, rows))
            with processes.Pool(1) as reader:
                figures[name] = reader.apply(read, (name, path, rows))
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
