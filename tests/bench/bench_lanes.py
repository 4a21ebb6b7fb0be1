"""How long live questions take while a backfill is under way, and what the backfill loses.

    .venv/bin/python -m tests.bench.bench_lanes [--backfill 20000] [--live 50] [--every 30]

The whole stream in one process and in virtual time: every stage's own handler behind its engine and its dispatcher,
with Kafka, ledger and model servers in memory. Each service may have 48 calls at once; their times are drawn by seed
around 10 s (paths), 3 s (verdicts, scores, summaries) and 15 s (refined ones). Three runs: the live questions alone
(`--every` seconds between two), the backfill alone, and both. Prints JSON: seconds from a live question's submission to
its end (median, 95%), and backfill questions ended a minute over the same stretch of time.
"""

import argparse
import asyncio
import json
import random
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median, quantiles
from typing import Any

from services.contracts.case import Usage
from services.contracts.codec import encode
from services.contracts.question import Question
from services.contracts.recipe import Recipe
from services.contracts.topics import (
    CASE_ACCEPTED,
    CASE_DIFFICULT,
    CASE_MEDIUM,
    CASE_REJECTED,
    CASE_UNDECIDED,
    CURRENT,
    PATHS_GENERATED,
    QUESTION_ADMITTED,
    QUESTION_SUBMITTED,
    RECIPES,
    RECORD_COMPLETED,
    Lane,
    both_lanes,
)
from services.core import ids
from services.core.endpoint import Endpoint
from services.core.holds import Holds
from services.core.ledger.calls import Reply, Request
from services.core.messages import ConsumedRecord, OutgoingRecord
from services.generator.handler import generate
from services.importers.rows import outgoing
from services.ledger.memory.ledger import memory_ledger
from services.ledger.memory.server import MemoryServer
from services.llm.dispatcher import Dispatcher
from services.recipes import load
from services.refiner.handler import reason_again, refine
from services.router.__main__ import handlers
from services.runtime.engine.engine import Engine
from services.runtime.engine.handler import Handle
from services.runtime.engine.limits import Limits
from services.runtime.kafka.memory import MemoryBroker, MemorySink, MemorySource
from services.summarizer.handler import summarize
from services.verifier.handler import verify
from services.worker.handling import by_topic, stage
from services.worker.recipes import Recipes
from tests.unit.llm.conftest import VirtualLoop

CALLS = 48
CALL_S = {"generate": 10.0, "verify": 3.0, "score": 3.0, "refine": 15.0, "reason": 15.0, "summarize": 3.0}
WARM_S = 300.0
"""The backfill's start, before anything is measured."""
STAGES = {
    "generator": ((CASE_UNDECIDED, QUESTION_ADMITTED), generate),
    "verifier": ((PATHS_GENERATED,), verify),
    "refiner-medium": ((CASE_MEDIUM,), refine),
    "refiner-difficult": ((CASE_DIFFICULT,), reason_again),
    "summarizer": ((CASE_ACCEPTED,), summarize),
}


class Model:
    """Model servers: replies by the request's seed, so that every run has the same ones. Three questions of ten are
    medium or difficult."""

    async def send(self, request: Request, *, owner: str, attempt: str, address: str | None = None) -> Reply:
        """As Client."""
        drawn = random.Random(request.seed)
        await asyncio.sleep(CALL_S[request.stage] * drawn.uniform(0.5, 1.5))
        return Reply(_text(request, drawn), "stop", Usage(prompt=1_000, completion=500))


def _text(request: Request, drawn: random.Random) -> str:
    hard = int(request.case_id[-1], 16) / 16
    match request.stage:
        case "generate":
            return f"Path {request.seed}.\nFinal answer: {'C' if drawn.random() > hard**2 else 'D'}"
        case "refine" | "reason":
            return f"Path {request.seed}, rewritten.\nFinal answer: C"
        case "verify":
            return json.dumps({"verdict": "Correct", "reason": "Seen."})
        case "score":
            return json.dumps({"score": drawn.randint(1, 5), "justification": "Weighed."})
        case _:
            return f"In short: {request.seed}."


class Broker(MemoryBroker):
    """Kafka in memory, which notes when each question was submitted and ended."""

    def __init__(self) -> None:
        super().__init__(partitions=4)
        self.submitted_at: dict[str, float] = {}
        self.ended_at: dict[str, float] = {}
        self._ends: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def append(self, message: OutgoingRecord, offset: int | None = None) -> ConsumedRecord:
        now, case_id = asyncio.get_running_loop().time(), message.key.decode()
        if message.topic in both_lanes(QUESTION_SUBMITTED):
            self.submitted_at[case_id] = now
        if message.topic in (RECORD_COMPLETED, CASE_REJECTED) or message.topic.endswith("-dead"):
            self.ended_at.setdefault(case_id, now)
            self._ends[case_id].set()
        return super().append(message, offset)

    def submit(self, number: int, lane: Lane) -> str:
        """Submit a question; its case id."""
        options = {letter: f"{letter} of {number}" for letter in "ABCD"}
        question = Question(question=f"The {lane} question number {number}?", options=options, answer="C")
        self.append(message := outgoing(question, lane=lane))
        return message.key.decode()

    async def end_of(self, case_id: str) -> None:
        """Wait until the question has ended."""
        await self._ends[case_id].wait()


class _Context:
    """What the router's handlers need of a ProcessContext."""

    def __init__(self, ledger: Any, recipes: Recipes) -> None:
        self.ledger, self.recipes = ledger, recipes


def _published(recipe: Recipe) -> Recipes:
    recipes, recipe_id = Recipes(), ids.recipe_id(recipe)
    for key, value in ((recipe_id, encode(recipe)), (CURRENT, json.dumps(recipe_id).encode())):
        recipes.take(ConsumedRecord(RECIPES, 0, 0, key.encode(), value, {}))
    recipes.caught_up.set()
    return recipes


@asynccontextmanager
async def stream(recipe: Recipe) -> AsyncIterator[Broker]:
    """The stream, one process a service."""
    broker, stop = Broker(), asyncio.Event()
    ledger = memory_ledger(MemoryServer(asyncio.get_running_loop().time))
    recipes = _published(recipe)
    endpoints = {alias: Endpoint(f"http://{alias}/v1", max_calls=CALLS, timeout_s=600) for alias in recipe.models}

    def engine(service: str, topics: Sequence[str], handle: Handle, on_drain: Callable[[], None]) -> Engine:
        return Engine(
            service=service,
            owner=service,
            source=MemorySource(broker, topics=both_lanes(*topics), group=service),
            sink=MemorySink(broker),
            handle=handle,
            attempts=ledger.attempts,
            circuits=ledger.circuits,
            holds=Holds(asyncio.get_running_loop().time),
            dead_topic=f"{service}-dead",
            limits=Limits(cases=32, by_priority=both_lanes(*topics) if len(topics) > 1 else (), leave_s=0.0),
            on_drain=on_drain,
        )

    async with AsyncExitStack() as held:
        routes = handlers(_Context(ledger, recipes))  # type: ignore[arg-type]
        engines = [engine("router", list(routes), by_topic(routes), lambda: None)]
        for service, (topics, handler) in STAGES.items():
            models = await held.enter_async_context(
                Dispatcher(
                    Model(), ledger.calls, endpoints=endpoints, owner=service,
                    holds=Holds(asyncio.get_running_loop().time), jitter=random.Random(1),
                )
            )  # fmt: skip
            engines.append(engine(service, topics, stage(handler, recipes, models.of), models.drain))
        running = [asyncio.create_task(each.run(stop)) for each in engines]
        try:
            yield broker
        finally:
            stop.set()
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def measure(recipe: Recipe, *, backfill: int, live: int, every_s: float) -> dict[str, Any]:
    """One run. Live questions are awaited to their end; a run without any lasts as long as they come in."""
    async with stream(recipe) as broker:
        waiting = {broker.submit(number, "backfill") for number in range(backfill)}
        await asyncio.sleep(WARM_S)
        begun = asyncio.get_running_loop().time()
        mine = []
        for number in range(live):
            mine.append(broker.submit(number, "live"))
            await asyncio.sleep(every_s)
        await asyncio.sleep(max(0.0, begun + 1_500 - asyncio.get_running_loop().time()))
        until = asyncio.get_running_loop().time()
        for case_id in mine:
            await broker.end_of(case_id)
        ended = sum(begun <= at < until for case_id, at in broker.ended_at.items() if case_id in waiting)
        took = [broker.ended_at[case_id] - broker.submitted_at[case_id] for case_id in mine]
        dead = sum(len(broker.messages(f"{service}-dead")) for service in ("router", *STAGES))
    return {
        "dead": dead,
        "backfill_left": len(waiting - broker.ended_at.keys()),
        "backfill_per_minute": round(ended / (until - begun) * 60, 2),
        **({"median_s": round(median(took), 1), "p95_s": round(quantiles(took, n=20)[-1], 1)} if mine else {}),
    }


def main() -> None:
    """Run the three, print JSON."""
    parser = argparse.ArgumentParser(description="Live questions beside a backfill, in virtual time.")
    parser.add_argument("--backfill", type=int, default=20_000, help="more than end in the 300 s before the first")
    parser.add_argument("--live", type=int, default=50)
    parser.add_argument("--every", type=float, default=30.0, help="seconds between two live questions")
    given = parser.parse_args()
    recipe = load("default")

    def run(backfill: int, live: int) -> dict[str, Any]:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            found = runner.run(measure(recipe, backfill=backfill, live=live, every_s=given.every))
        sys.stderr.write(f"{found}\n")
        return found

    alone, backfill, both = run(0, given.live), run(given.backfill, 0), run(given.backfill, given.live)
    shown = {
        "live alone": alone,
        "backfill alone": backfill,
        "both": both,
        "median, times that of an empty stream": round(both["median_s"] / alone["median_s"], 2),
        "backfill's throughput kept": round(both["backfill_per_minute"] / backfill["backfill_per_minute"], 3),
    }
    sys.stdout.write(json.dumps(shown, indent=2) + "\n")


if __name__ == "__main__":
    main()
