"""How soon the dashboard shows what Kafka holds: `python tests/bench/bench_dashboard.py [--times 20]` prints JSON.

Apache Kafka with one broker, a monitor, a gateway, and chromium with the page open. One question after the other is
written to `question-submitted`; `delay_ms` goes from the moment when the broker has confirmed it until the number of
open cases on the page says so, by the machine's one clock. `page` is what a browser loads that has none of it yet:
requests, bytes over the wire (heads included), and bytes after decompression.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Page

from services.contracts.codec import encode
from services.contracts.question import Question, Submission
from services.contracts.topics import QUESTION_SUBMITTED, topics
from services.core import ids
from services.core.messages import OutgoingRecord
from services.local.processes.ports import free_ports
from services.local.processes.process import Process, until
from services.local.servers.kafka import KafkaCluster
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.declare import TopicSpec, declare
from services.runtime.kafka.sink import KafkaSink

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT))  # for the tests' browser: this runs as a file

from tests.browser.browser import CHROMIUM, chromium  # noqa: E402

SHOWN = """wanted => new Promise((resolve) => {
  const shown = () => document.querySelector("[data-total=open] dd")?.textContent === wanted && resolve(Date.now());
  if (!shown()) new MutationObserver(shown).observe(document, {subtree: true, childList: true, characterData: true});
})"""
"""Resolves with the Unix time, in ms, at which the page shows so many open cases."""


def submission(number: int) -> OutgoingRecord:
    """A question of its own."""
    question = Question(question=f"Question {number}?", options={"A": "this", "B": "that"}, answer="A")
    case_id = ids.case_id(question)
    body = encode(Submission(case_id=case_id, question=question))
    return OutgoingRecord(QUESTION_SUBMITTED, case_id.encode(), body, {})


async def delays(page: Page, sink: KafkaSink, times: int) -> list[float]:
    """Of so many questions, in ms. The first, which waits for what is opened only once, is left out."""
    found = []
    for number in range(1, times + 2):
        shown = asyncio.create_task(page.evaluate(SHOWN, str(number)))
        await sink.publish([submission(number)])
        confirmed = time.time()
        found.append(await shown - confirmed * 1_000)
    return found[1:]


async def weight(page: Page, url: str) -> dict[str, int]:
    """What the page's files come to."""
    loads: list[Any] = []
    page.on("requestfinished", lambda request: loads.append(request) if "/dashboard/" in request.url else None)
    await page.goto(url)
    await page.wait_for_selector("[data-total=open]")
    sizes = [await request.sizes() for request in loads]
    bodies = [await (await request.response()).body() for request in loads]
    sent = sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes)
    return {"requests": len(loads), "wire_bytes": sent, "bytes": sum(map(len, bodies))}


@asynccontextmanager
async def stream(folder: Path) -> AsyncIterator[tuple[KafkaClient, str]]:
    """Kafka, monitor and gateway; and the gateway's URL."""
    async with AsyncExitStack() as stack:
        kafka = await stack.enter_async_context(KafkaCluster(folder / "kafka"))
        client = KafkaClient(bootstrap=kafka.bootstrap)
        await declare(client, [TopicSpec(name=name, partitions=3, replication=1) for name in topics()])
        for name, port in zip(("monitor", "gateway"), free_ports(2), strict=True):
            env = {**os.environ, "PYTHONPATH": str(PROJECT), "REASONMED_PORT": str(port)}
            env |= {"REASONMED_KAFKA__BOOTSTRAP": kafka.bootstrap}
            env |= {"REASONMED_LEDGER": f"sqlite://{folder}/ledger.sqlite"}
            url = f"http://127.0.0.1:{port}"
            ready = until_ready(url)
            argv = [sys.executable, "-m", f"services.{name}"]
            await stack.enter_async_context(Process(name, argv, log=folder / f"{name}.log", env=env, ready=ready))
        yield client, url


def until_ready(url: str) -> Any:
    """Waits for /readyz."""

    async def ready() -> None:
        async with httpx.AsyncClient(base_url=url) as http:

            async def answers() -> bool:
                try:
                    return (await http.get("/readyz")).is_success
                except httpx.TransportError:
                    return False

            await until(answers, every=0.1)

    return ready


async def bench(times: int, folder: Path) -> dict[str, Any]:
    """All of it."""
    async with stream(folder) as (kafka, url), chromium() as browser, KafkaSink(kafka) as sink:
        page = await browser.new_page()
        page.set_default_timeout(60_000)
        loaded = await weight(page, f"{url}/dashboard/")
        found = await delays(page, sink, times)
    median, worst = round(statistics.median(found)), round(max(found))
    return {"times": times, "delay_ms": {"median": median, "worst": worst}, "page": loaded}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    asked = parser.parse_args()
    if CHROMIUM is None:
        print(json.dumps({"skipped": "no chromium: `make debian` installs it"}))
        return
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # on a disk: /tmp may be memory
        print(json.dumps(asyncio.run(bench(asked.times, Path(folder))), indent=2))


if __name__ == "__main__":
    main()
