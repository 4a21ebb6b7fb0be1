"""What a model call costs all in: generator and verifier as real processes on real Kafka, ledger and metrics on, beside
bare httpx-aiohttp on the same server in the same run.

    .venv/bin/python tests/bench/bench_profile.py [--cases 120] [--latency 0.2] [--valkey]

Cases of the sample questions (each in several variants) are written straight to question-admitted; the run ends when
all stand in paths-verified. Replies are padded to 6 KB; prompts are the project's own, 2 to 8 KB. Prints JSON: CPU
milliseconds a call of each process (what it used between the first case and the last, divided by the calls it sent),
and the ratio to the bare client's, which is measured before and after. Not the start of the processes, not the server.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx

from services.contracts.codec import canonical, encode
from services.contracts.question import Question, Submission
from services.contracts.recipe import Recipe
from services.contracts.topics import CURRENT, PATHS_VERIFIED, QUESTION_ADMITTED, RECIPES, topics
from services.core import ids
from services.core.case.requests import planned_request as request
from services.core.messages import Emit, OutgoingRecord
from services.llm.scripted import known
from services.local.processes.ports import free_ports
from services.local.processes.process import Process, until
from services.local.servers.kafka import KafkaCluster
from services.local.servers.valkey import ValkeyServer
from services.recipes import load
from services.router.admission import new_case
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.declare import declare, specs
from services.runtime.kafka.reader import follow_topic
from services.runtime.kafka.sink import KafkaSink
from services.worker.handling import outgoing

BARE = """
import asyncio, json, resource, sys
import httpx
from httpx_aiohttp import AiohttpTransport
url, under_way, bodies = sys.argv[1], int(sys.argv[2]), [line.encode() for line in sys.stdin.read().splitlines()]
def cpu():
    use = resource.getrusage(resource.RUSAGE_SELF)
    return use.ru_utime + use.ru_stime
async def main():
    waiting = iter(enumerate(bodies))
    transport = AiohttpTransport(limits=httpx.Limits(max_connections=under_way))
    async with httpx.AsyncClient(transport=transport, timeout=60) as client:
        async def worker():
            for n, body in waiting:
                case, _, rest = body.partition(b" ")
                headers = {"Content-Type": "application/json", "X-Stage": "generate", "X-Case-Id": case.decode()}
                reply = await client.post(url, content=rest, headers={**headers, "X-Request-Id": f"bare-{n}"})
                assert json.loads(reply.content)["choices"][0]["message"]["content"]
        before = cpu()
        await asyncio.gather(*(worker() for _ in range(under_way)))
        print(1000 * (cpu() - before) / len(bodies))
asyncio.run(main())
"""


async def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        async with _stack(Path(folder), arguments) as (client, workers, url):
            recipe, cases = load("default"), _cases(arguments.cases)
            bare = [await _bare(url, recipe, cases[:100])]
            shares, seconds = await _through(client, workers, recipe, cases)
            bare.append(await _bare(url, recipe, cases[:100]))
            sent = _sent(Path(folder) / "log.jsonl")
    _report(arguments, bare, shares, seconds, sent)


def _report(
    arguments: argparse.Namespace, bare: list[float], cpu_s: dict[str, float], seconds: float, sent: Counter[str]
) -> None:
    bare_ms = statistics.mean(bare)
    ms = {name: 1000 * cpu_s[name] / sent[name] for name in cpu_s}
    total = 1000 * sum(cpu_s.values()) / sum(sent.values())
    figures = {
        "cases": arguments.cases,
        "ledger": "valkey" if arguments.valkey else "sqlite",
        "calls": dict(sent),
        "calls_per_s": round(sum(sent.values()) / seconds, 1),
        "bare_cpu_ms_per_call": [round(value, 3) for value in bare],
        "cpu_ms_per_call": {**{name: round(value, 3) for name, value in ms.items()}, "both": round(total, 3)},
        "ratio_to_bare": {**{name: round(v / bare_ms, 2) for name, v in ms.items()}, "both": round(total / bare_ms, 2)},
    }
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


@asynccontextmanager
async def _stack(
    folder: Path, arguments: argparse.Namespace
) -> AsyncIterator[tuple[KafkaClient, dict[str, Process], str]]:
    """Kafka, the scripted server, a ledger, one generator and one verifier."""
    ports = free_ports(3)
    url = f"http://127.0.0.1:{ports[0]}/v1"
    async with AsyncExitStack() as stack:
        kafka = await stack.enter_async_context(KafkaCluster(folder / "kafka"))
        client = KafkaClient(bootstrap=kafka.bootstrap)
        await declare(client, specs(topics().values(), replication=1, max_message_bytes=2**22, partitions=4))
        ledger = f"sqlite://{folder}/ledger.sqlite"
        if arguments.valkey:
            ledger = (await stack.enter_async_context(ValkeyServer(folder / "valkey"))).url
        server = [f"--port={ports[0]}", "--slots=512", f"--latency={arguments.latency}", "--reply-bytes=6144"]
        scripted = [sys.executable, "-m", "services.llm.scripted", *server, f"--log={folder}/log.jsonl"]
        ready = _answers(f"http://127.0.0.1:{ports[0]}/health")
        await stack.enter_async_context(Process("scripted", scripted, log=folder / "scripted.log", ready=ready))
        endpoint = {"base_url": url, "max_calls": 256}
        environment = {
            **os.environ,
            "REASONMED_KAFKA__BOOTSTRAP": kafka.bootstrap,
            "REASONMED_LEDGER": ledger,
            "REASONMED_MODELS": json.dumps(dict.fromkeys(load("default").models, endpoint)),
        }
        workers = {}
        for name, port in (("generator", ports[1]), ("verifier", ports[2])):
            workers[name] = Process(
                name,
                [sys.executable, "-m", f"services.{name}"],
                log=folder / f"{name}.log",
                env={**environment, "REASONMED_PORT": str(port)},
                ready=_answers(f"http://127.0.0.1:{port}/readyz"),
            )
            await stack.enter_async_context(workers[name])
            stack.push_async_callback(_stop, await _scraping(port))
        yield client, workers, url


async def _scraping(port: int) -> "asyncio.Task[None]":
    """Metrics are on: someone reads them once a second."""

    async def scrape() -> None:
        async with httpx.AsyncClient() as client:
            while True:
                (await client.get(f"http://127.0.0.1:{port}/metrics")).raise_for_status()
                await asyncio.sleep(1)

    return asyncio.create_task(scrape())


async def _stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _answers(url: str) -> Callable[[], Awaitable[None]]:
    async def ready() -> None:
        async def yes() -> bool:
            async with httpx.AsyncClient() as client:
                try:
                    return (await client.get(url)).status_code == 200
                except httpx.TransportError:
                    return False

        await until(yes, every=0.1)

    return ready


def _cases(count: int) -> list[Question]:
    """The sample questions, in as many variants as it takes: another number in the stem is another question."""
    samples = list(known.questions(known.SAMPLES).values())
    return [
        samples[n % 30] if n < 30 else samples[n % 30].with_(question=f"{samples[n % 30].question} (Form {n}.)")
        for n in range(count)
    ]


async def _through(
    client: KafkaClient, workers: dict[str, Process], recipe: Recipe, questions: list[Question]
) -> tuple[dict[str, float], float]:
    recipe_id = ids.recipe_id(recipe)
    submissions = [Submission(case_id=ids.case_id(q), question=q) for q in questions]
    cases = [new_case(submission, recipe_id) for submission in submissions]
    async with KafkaSink(client) as sink:
        await sink.publish([OutgoingRecord(RECIPES, recipe_id.encode(), encode(recipe), {})])
        await sink.publish([OutgoingRecord(RECIPES, CURRENT.encode(), canonical(recipe_id), {})])
        before = {name: worker.usage.cpu_seconds for name, worker in workers.items()}
        began = time.monotonic()
        await sink.publish([outgoing(Emit(QUESTION_ADMITTED, case.case_id, case)) for case in cases])
        waiting = {case.case_id.encode() for case in cases}
        async for message in follow_topic(client, PATHS_VERIFIED):
            waiting.discard(message.key or b"")
            if not waiting:
                break
    used = {name: worker.usage.cpu_seconds - before[name] for name, worker in workers.items()}
    return used, time.monotonic() - began


async def _bare(url: str, recipe: Recipe, questions: list[Question]) -> float:
    """CPU milliseconds a call of the bare client, on the generator's own requests."""
    lines = []
    for question in questions:
        submission = Submission(case_id=ids.case_id(question), question=question)
        case = new_case(submission, ids.recipe_id(recipe))
        for slot in range(len(recipe.generate.plan)):
            asked = request(case, recipe, slot)
            body = {"model": "any", "messages": asked.messages, "seed": asked.seed, "max_tokens": 8192}
            lines.append(f"{case.case_id} {json.dumps(body)}")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        BARE,
        f"{url}/chat/completions",
        "256",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate("\n".join(lines).encode())
    assert process.returncode == 0
    return float(output)


def _sent(log: Path) -> Counter[str]:
    """Calls that each of the two services sent, from the server's log."""
    of = {"generate": "generator", "verify": "verifier", "score": "verifier"}
    lines = map(json.loads, log.read_text().splitlines())
    return Counter(of[line["stage"]] for line in lines if line["event"] == "start" and line["owner"])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--cases", type=int, default=120)
    parser.add_argument("--latency", default="0.2")
    parser.add_argument("--valkey", action="store_true", help="the ledger on Valkey instead of SQLite")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main())
