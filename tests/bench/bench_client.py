"""What a model call costs this process: bare httpx-aiohttp against the chat client behind the dispatcher and a ledger.

    .venv/bin/python tests/bench/bench_client.py [--calls 4000] [--under-way 256] [--latency 0.2] [--rounds 3]

Both ask the scripted server (a process of its own) the same, alternately, in one run. Prints JSON: CPU milliseconds a
call, calls a second, and the median over the rounds. Figures move with what else the machine does; compare within one
run only.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from httpx_aiohttp import AiohttpTransport

from services.contracts.base import CaseId
from services.contracts.recipe import Model, Sampling
from services.core.endpoint import Endpoint
from services.core.holds import Holds
from services.core.ledger.calls import Reply, Request
from services.ledger.memory.ledger import memory_ledger
from services.llm import wire
from services.llm.client import ChatClient
from services.llm.dispatcher import Dispatcher
from services.llm.scripted import known

ROOT = Path(__file__).parents[2]
CASES = list(known.questions(known.SAMPLES))
PROMPT = "Work through the multiple-choice question below in writing. " * 40
"""2.4 KB, like the project's own prompts."""


def requests(count: int, kind: str) -> list[Request]:
    sampling = Sampling(temperature=0.7, max_tokens=8_192)
    return [
        Request(CaseId(CASES[n % 30]), "generate", "writer", Model(served="m"), f"{kind} {PROMPT}", sampling, n)
        for n in range(count)
    ]


async def in_flight(work: list[Request], under_way: int, call: Callable[[Request], Awaitable[None]]) -> None:
    waiting = iter(work)

    async def worker() -> None:
        for request in waiting:
            await call(request)

    await asyncio.gather(*(worker() for _ in range(under_way)))


async def bare(base_url: str, work: list[Request], under_way: int) -> None:
    transport = AiohttpTransport(limits=httpx.Limits(max_connections=under_way))
    async with httpx.AsyncClient(transport=transport, timeout=60) as client:

        async def call(request: Request) -> None:
            headers = wire.headers(request, owner="bench")
            response = await client.post(f"{base_url}/chat/completions", content=wire.body(request), headers=headers)
            assert response.status_code == 200
            assert response.content

        await in_flight(work, under_way, call)


async def dispatched(base_url: str, work: list[Request], under_way: int) -> None:
    endpoints = {"writer": Endpoint(base_url, max_calls=under_way)}
    async with (
        ChatClient(endpoints) as client,
        Dispatcher(client, memory_ledger().calls, endpoints=endpoints, owner="bench", holds=Holds()) as models,
    ):

        async def call(request: Request) -> None:
            (answer,) = await models.ask([request])
            assert isinstance(answer.outcome, Reply)

        await in_flight(work, under_way, call)


async def measured(run: Awaitable[None], calls: int) -> dict[str, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    await run
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu_ms_a_call": round(1000 * cpu / calls, 3), "calls_a_second": round(calls / wall, 1)}


@asynccontextmanager
async def server(under_way: int, latency: float) -> AsyncIterator[str]:
    options = ["--port", "0", "--slots", str(under_way), "--latency", str(latency)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.llm.scripted", *options, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().split()[-1]
    finally:
        process.terminate()
        await process.wait()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=4_000)
    parser.add_argument("--under-way", type=int, default=256)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ways = {"bare httpx-aiohttp": bare, "chat client, dispatcher, memory ledger": dispatched}
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    async with server(options.under_way, options.latency) as base_url:
        await bare(base_url, requests(500, "warm up"), options.under_way)
        for number in range(options.rounds):
            for name in random.Random(number).sample(list(ways), len(ways)):
                work = requests(options.calls, f"round {number}")
                run = ways[name](base_url, work, options.under_way)
                rounds[name].append(await measured(run, options.calls))
    median = {
        name: {key: statistics.median(one[key] for one in all_) for key in all_[0]} for name, all_ in rounds.items()
    }
    sys.stdout.write(json.dumps({"options": vars(options), "median": median, "rounds": rounds}, indent=2) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
