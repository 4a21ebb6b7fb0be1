"""The dataset's table at size: `python -m tests.bench.bench_table small-commits|memory [--count N]` prints JSON.

small-commits: so many commits (17,000: what 12 partitions write in a day, a part a minute) of three records each, after
the pattern of the exporter's own, then one `dataset compact` while two other processes read and a third commits: files
and seconds before and after, and whether each reader always saw each record once.
memory: a table of so many records (5,000,000) in 12 partitions, written directly with deltalake; then the exporter's
loop over them in a process of its own, as if the topic still held all of them: its peak resident memory, which includes
the ids of all records, and the seconds and peak until it can write.
"""

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from services.contracts.base import VERSION
from services.core import ids
from services.core.messages import TopicPartition
from services.datasets.dataset import Dataset
from services.datasets.maintenance import compact
from services.exporter.layout import RECORDS
from services.exporter.partition import Partition
from services.exporter.rows import export
from services.exporter.table import WRITER, Table
from tests.bench.exporter_memory import peak_mb
from tests.unit.exporter.world import TOPIC, message, record

PARTITIONS = 12
COMMITS, ROWS = 17_000, 3
RECORDS_IN_TABLE, BATCH = 5_000_000, 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["small-commits", "memory"])
    parser.add_argument("--count", type=int)
    parser.add_argument("--folder", type=Path, help="Used and kept; a temporary one otherwise.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as temporary:  # on a disk: /tmp may be memory
        folder = options.folder or Path(temporary)
        if options.what == "small-commits":
            shown = small_commits(folder, options.count or COMMITS)
        else:
            shown = memory(folder, options.count or RECORDS_IN_TABLE)
    sys.stdout.write(json.dumps(shown) + "\n")


def small_commits(folder: Path, count: int) -> dict[str, Any]:
    began = time.monotonic()
    positions = commit_all(folder, count)
    written_s = time.monotonic() - began
    context = multiprocessing.get_context("spawn")
    stop, seen = context.Event(), context.Queue()
    readers = [context.Process(target=read, args=(folder, count * ROWS, stop, seen)) for _ in range(2)]
    writer = context.Process(target=write, args=(folder, positions[0], stop, seen))
    for each in (*readers, writer):
        each.start()
    began = time.monotonic()
    compacted = compact(str(folder))
    compacted_s = time.monotonic() - began
    stop.set()
    reports = [seen.get() for _ in range(3)]
    for each in (*readers, writer):
        each.join()
    return {
        "commits": count,
        "written_s": round(written_s, 1),
        "files": [compacted.files_before, compacted.files_after],
        "compacted_s": round(compacted_s, 1),
        "reads": sum(report.get("reads", 0) for report in reports),
        "wrong_reads": sum(report.get("wrong", 0) for report in reports),
        "commits_meanwhile": sum(report.get("commits", 0) for report in reports),
        "peak_mb": peak_mb(),
    }


def commit_all(folder: Path, count: int) -> dict[int, int]:
    """The first commit is the exporter's own; the others are written after its pattern, files and log, which is faster
    by far. Returns the next offset of each partition."""
    positions = dict.fromkeys(range(PARTITIONS), 0)
    table, template = Table.open(str(folder), RECORDS), export(message(0, record(0))).rows[0]
    for number in range(count):
        partition = number % PARTITIONS
        offset, positions[partition] = positions[partition], positions[partition] + ROWS
        own = [
            {"record_id": ids.digest("record", number, n), "kafka_partition": partition, "kafka_offset": offset + n}
            for n in range(ROWS)
        ]
        rows = [template | each for each in own]
        if number == 0:
            table.append(rows, TopicPartition(TOPIC, 0), expected=0, next_offset=ROWS, notes={})
            pattern = (folder / "_delta_log" / f"{1:020}.json").read_text().splitlines()
            continue
        name = f"part-{number:05}.parquet"
        pq.write_table(pa.Table.from_pylist(rows, schema=RECORDS.schema), folder / name, compression="zstd")
        entries = [json.loads(line) for line in pattern]
        for entry in entries:
            _change(entry, name, (folder / name).stat().st_size, partition, offset)
        lines = "\n".join(map(json.dumps, entries))
        (folder / "_delta_log" / f"{number + 1:020}.json").write_text(lines)
        if number % 1_000 == 0:
            DeltaTable(str(folder)).create_checkpoint()
    return positions


def _change(entry: dict[str, Any], name: str, size: int, partition: int, offset: int) -> None:
    if "add" in entry:
        stats = json.loads(entry["add"]["stats"])
        for bound, last in (("minValues", offset), ("maxValues", offset + ROWS - 1)):
            stats[bound] |= {"kafka_partition": partition, "kafka_offset": last}
        entry["add"] |= {"path": name, "size": size, "stats": json.dumps(stats)}
    if "txn" in entry:
        entry["txn"] |= {"appId": f"{TOPIC}/{partition}", "version": offset + ROWS}


def read(folder: Path, least: int, stop: Event, seen: Any) -> None:
    """Read all ids again and again: at least as many as there were, each once."""
    reads = wrong = 0
    while not stop.is_set() or not reads:
        found = [str(name) for batch in Dataset.open(folder).batches(["record_id"]) for name in batch[0].to_pylist()]
        reads += 1
        wrong += len(found) < least or len(set(found)) != len(found)
    seen.put({"reads": reads, "wrong": wrong})


def write(folder: Path, offset: int, stop: Event, seen: Any) -> None:
    """Commit records of the first partition."""
    partition, number = Partition.open(Table.open(str(folder), RECORDS), TOPIC, 0, first=offset), 0
    while not stop.is_set():
        partition.accept(message(offset + number, record(number)), 0.0)
        partition.seal()
        number += 1
    seen.put({"commits": number})


def memory(folder: Path, count: int) -> dict[str, Any]:
    Table.open(str(folder), RECORDS)
    began = time.monotonic()
    each = count // PARTITIONS
    for partition in range(PARTITIONS):
        fill(str(folder), partition, each)
    made_s = time.monotonic() - began
    words = [sys.executable, "-m", "tests.bench.exporter_memory", str(folder), str(PARTITIONS)]
    measured = json.loads(subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout)
    return {"records": each * PARTITIONS, "made_s": round(made_s, 1), **measured}


def fill(uri: str, partition: int, count: int) -> None:
    """Records of a partition, with ids and digests of their own and short texts, 50,000 a file."""
    row = export(message(0, record(0))).rows[0]
    for first in range(0, count, BATCH):
        size = min(BATCH, count - first)
        batch = pa.Table.from_pylist([row], schema=RECORDS.schema).take(pa.array(np.zeros(size, dtype=np.int64)))
        own = {
            "record_id": pa.array(list(random_ids(f"{partition}/{first}", size))),
            "content_digest": pa.array(np.random.default_rng(first).integers(-(2**63), 2**63 - 1, size)),
            "contract": pa.array([VERSION] * size),
            "kafka_partition": pa.array(np.full(size, partition)),
            "kafka_offset": pa.array(np.arange(first, first + size)),
        }
        for name, values in own.items():
            at = batch.schema.get_field_index(name)
            batch = batch.set_column(at, batch.schema.field(at), values)
        position = Transaction(f"{TOPIC}/{partition}", first + size)
        commit = CommitProperties(app_transactions=[position])
        write_deltalake(DeltaTable(uri), batch, mode="append", writer_properties=WRITER, commit_properties=commit)


def random_ids(seed: str, count: int) -> Iterator[str]:
    digits = np.random.default_rng(int(ids.digest("bench", seed)[-12:], 16)).bytes(16 * count).hex()
    return (f"record-{digits[at : at + 32]}" for at in range(0, 32 * count, 32))


if __name__ == "__main__":
    main()
