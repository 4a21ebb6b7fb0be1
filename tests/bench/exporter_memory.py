"""What an exporter's process holds, for bench_table: `python -m tests.bench.exporter_memory FOLDER PARTITIONS`.

All that it imports, the ids of every record of the table, and then 120,000 records of 8 KB, in polls as the exporter
makes them. Imports nothing else: what it holds would be counted.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import services.exporter.__main__  # noqa: F401 -- all that the process imports
from services.exporter.exporter import POLL
from services.exporter.layout import RECORDS
from services.exporter.partition import Limits, Partition
from services.exporter.table import Table
from tests.unit.exporter.world import TOPIC, message, record

RECORDS_READ, A_PARTITION = 120_000, 5_000
"""Records, and how many of a partition come together."""
CHAIN = "word " * 1_200


def main(folder: Path, partitions: int) -> dict[str, Any]:
    figures: dict[str, Any] = {"imports_mb": peak_mb()}
    began, limits, table = time.monotonic(), Limits(), Table.open(str(folder), RECORDS)
    opened = [Partition.open(table, TOPIC, number, first=0, limits=limits) for number in range(partitions)]
    figures |= {"open_s": round(time.monotonic() - began, 1), "open_mb": peak_mb()}
    cpu = 0.0
    for first in range(0, RECORDS_READ, POLL):
        partition = opened[first // A_PARTITION % partitions]
        polled = [
            message(partition.next_offset + at, record(10_000_000 + first + at, chain=CHAIN), partition.number)
            for at in range(POLL)
        ]
        before = time.process_time()
        for one in polled:
            partition.accept(one, 0.0)
            if partition.due(0.0):
                partition.seal()
        cpu += time.process_time() - before
    for partition in opened:
        partition.seal()
    each = round(1_000 * cpu / RECORDS_READ, 3)
    return {**figures, "written": RECORDS_READ, "peak_mb": peak_mb(), "cpu_ms_a_record": each}


def peak_mb() -> int:
    """Of this process alone: ru_maxrss begins with the peak of the process that started it."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) // 1024


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))) + "\n")
