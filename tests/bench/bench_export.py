"""What an export costs: `python tests/bench/bench_export.py [--records N]` prints JSON.

Synthetic records of about 8 KB (chains of 3 to 9 KB, summaries of 1 KB) in commits of 5,000, written by the exporter's
own table, are exported as ReasonMed in `messages`, with lineage, in a process of its own: its seconds, its CPU
seconds and its peak resident memory, which should be the same for any number of records.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from services.core import ids
from services.core.messages import TopicPartition
from services.datasets.export import export
from services.exporter.layout import RECORDS
from services.exporter.partition import Limits
from services.exporter.rows import Row
from services.exporter.rows import export as row_of
from services.exporter.table import Table
from tests.unit.datasets.world import request
from tests.unit.exporter.world import message, record

COUNT = 20_000
PART = Limits().rows


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--records", type=int, default=COUNT)
    records = arguments.parse_args().records
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # on a disk: /tmp may be memory
        parts, out = Path(folder) / "parts", Path(folder) / "out"
        began = time.monotonic()
        write(parts, records)
        made_s = time.monotonic() - began
        words = [sys.executable, __file__, "export", str(parts), str(out)]
        measured = json.loads(subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout)
        sizes = {name: size(out / name) for name in ("data", "jsonl")}
        print(
            json.dumps({"records": records, "parts_mb": size(parts), "made_s": round(made_s, 1), **measured, **sizes})
        )


def write(folder: Path, records: int) -> None:
    """A dataset of one partition."""
    table, place = Table.open(str(folder), RECORDS), TopicPartition(RECORDS.topics[0], 0)
    for first in range(0, records, PART):
        rows = list(synthetic(first, min(first + PART, records)))
        table.append(rows, place, expected=first, next_offset=first + len(rows), notes={})


def synthetic(first: int, end: int) -> Iterator[Row]:
    """Rows as the exporter makes them, with ids and texts of their own."""
    template = row_of(message(0, record(0))).rows[0]
    for number in range(first, end):
        random_ = random.Random(number)
        yield {
            **template,
            "record_id": ids.digest("record", number),
            "case_id": ids.digest("case", number),
            "question": text(random_, 300),
            "chain": text(random_, random_.randrange(3_000, 9_000)),
            "summary": text(random_, 1_000),
            "kafka_offset": number,
        }


def text(random_: random.Random, length: int) -> str:
    """A piece of a megabyte of words: no two alike, and compressed about as prose is."""
    start = random_.randrange(len(POOL) - length)
    return POOL[start : start + length]


POOL = " ".join(random.Random(0).choices([f"{n:x}" * (1 + n % 3) for n in range(1_000, 9_000)], k=150_000))


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) // 2**20


def measure(parts: Path, out: Path) -> None:
    """The export itself, in this process."""
    began = time.monotonic()
    summary = export(request(), parts, out)
    used = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "exported": summary.records,
        "seconds": round(time.monotonic() - began, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_rss_mb": peak_rss_kb() // 1024,
    }
    print(json.dumps(figures))


def peak_rss_kb() -> int:
    """Of this program alone: ru_maxrss begins with the peak of the process that started it."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


if __name__ == "__main__":
    if sys.argv[1:2] == ["export"]:
        measure(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
