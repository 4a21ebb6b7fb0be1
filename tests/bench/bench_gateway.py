"""What lines cost that come in over HTTP: `python tests/bench/bench_gateway.py [--rows 100000]` prints JSON.

A gateway in front of Apache Kafka, one broker. `--rows` questions of a MedQA's size, each hundredth without its
answer, as one body of `application/x-ndjson`; before it a tenth of that, so that what grows with the lines shows as a
difference of the two. `peak_mb` is the gateway's own resident memory at its highest so far, `cpu_ms` its CPU a line;
the topic is read afterwards, and holds each accepted line.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil

from services.contracts.topics import QUESTION_SUBMITTED
from services.local.processes.ports import free_ports
from services.local.processes.process import Process, until
from services.local.servers.kafka import KafkaCluster
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.declare import TopicSpec, declare
from services.runtime.kafka.reader import read_topic

STEM = "A sailor has bleeding gums, and bruises after the slightest knock. " * 10
"""670 characters: about what a MedQA stem has."""

BAD = 100
"""One line of so many is no question."""


def line(number: int) -> bytes:
    """A question; each hundredth has no answer."""
    question: dict[str, Any] = {
        "question": f"{STEM}{number}",
        "options": {"A": "Vitamin A", "B": "B1", "C": "C", "D": "D"},
    }
    return orjson.dumps(question if number % BAD == 0 else question | {"answer": "C"}) + b"\n"


async def body(first: int, count: int) -> AsyncIterator[bytes]:
    """The lines in pieces of 64."""
    for start in range(first, first + count, 64):
        yield b"".join(map(line, range(start, min(start + 64, first + count))))


async def post(client: httpx.AsyncClient, gateway: psutil.Process, first: int, count: int) -> dict[str, float]:
    """Hand in so many lines; what it came to."""
    headers = {"content-type": "application/x-ndjson"}
    used, begun = sum(gateway.cpu_times()[:2]), time.perf_counter()
    answer = await client.post("/questions", content=body(first, count), headers=headers)
    took_s = time.perf_counter() - begun
    refused = len([number for number in range(first, first + count) if number % BAD == 0])
    summary = orjson.loads(answer.content.splitlines()[-1])
    assert answer.status_code == 207, answer.text
    assert (summary["accepted"], summary["refused"]) == (count - refused, refused), summary
    return {
        "rows": count,
        "refused": refused,
        "rows_per_s": round(count / took_s),
        "cpu_ms": round((sum(gateway.cpu_times()[:2]) - used) / count * 1_000, 3),
        "rss_mb": round(gateway.memory_info().rss / 2**20, 1),
        "peak_mb": peak_mb(gateway.pid),
    }


def peak_mb(pid: int) -> float:
    """The high-water mark of its resident memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return round(int(status.partition("VmHWM:")[2].split()[0]) / 2**10, 1)


async def bench(rows: int, folder: Path) -> dict[str, Any]:
    """A tenth, then all of them."""
    async with KafkaCluster(folder / "kafka") as kafka:
        client = KafkaClient(bootstrap=kafka.bootstrap)
        await declare(client, [TopicSpec(name=QUESTION_SUBMITTED, partitions=12, replication=1)])
        (port,) = free_ports(1)
        env = {**os.environ, "REASONMED_PORT": str(port), "REASONMED_KAFKA__BOOTSTRAP": kafka.bootstrap}
        env |= {"REASONMED_LEDGER": f"sqlite://{folder}/ledger.sqlite"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=600) as http:

            async def alive() -> bool:
                try:
                    return (await http.get("/healthz")).is_success
                except httpx.TransportError:
                    return False

            argv = [sys.executable, "-m", "services.gateway"]
            log = folder / "gateway.log"
            async with Process("gateway", argv, log=log, env=env, ready=lambda: until(alive, every=0.05)) as process:
                assert process.pid is not None
                gateway = psutil.Process(process.pid)
                figures = [await post(http, gateway, 0, rows // 10), await post(http, gateway, rows, rows)]
        held = {message.key async for message in read_topic(client, QUESTION_SUBMITTED)}
        assert len(held) == sum(each["rows"] - each["refused"] for each in figures), len(held)
    return {"a tenth": figures[0], "all": figures[1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # on a disk: /tmp may be memory
        print(json.dumps(asyncio.run(bench(asked.rows, Path(folder))), indent=2))


if __name__ == "__main__":
    main()
