"""Start the stream under test (Kafka, ledger, model server, services), and record each process of each worker."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal

import aiokafka
import orjson

from services import recipes
from services.cli import coordinates
from services.core.endpoint import Endpoint
from services.ledger import open_ledger
from services.local import stack
from services.local.processes.ports import LOOPBACK, free_ports
from services.local.processes.supervisor import Event, WorkerState
from services.local.servers import model_server as serving
from services.local.servers.kafka import KafkaCluster
from services.local.servers.valkey import ValkeyServer
from services.local.stack import Plan, Stack
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.sink import KafkaSink
from services.runtime.process.settings import inherited
from services.worker.publishing import publish_recipe
from tests.chaos.causes import Life
from tests.chaos.pool import ModelPool
from tests.chaos.questions import questions
from tests.chaos.rig import DRAIN_S, LEASE_S, SESSION_S, SPARE, WORKERS, Known, Options, Rig

LATENCY = "0.2:4"
"""Seconds per call: a case takes some 15 s, so hundreds of calls are in flight at each fault."""
REPLY_FAULTS = 0.02
"""The share of corrupted replies of the model server."""
EXPORT_AGE_S = 3
"""Seconds between parts of the exporter: short, so that it writes while its disk is full."""


@asynccontextmanager
async def running(options: Options) -> AsyncIterator[Rig]:
    """Run the stream until the end of the block; it is ready at the start."""
    folder = options.folder
    known = Known()
    recorder = _Recorder(known)
    async with AsyncExitStack() as ends:
        kafka = await ends.enter_async_context(KafkaCluster(folder / "kafka", brokers=options.brokers))
        valkey = None
        if options.ledger == "valkey":
            valkey = ValkeyServer(folder / "valkey")
            valkey.process.argv = ["/bin/sh", "-c", 'trap "" XFSZ; exec "$0" "$@"', *valkey.process.argv]
            await ends.enter_async_context(valkey)
        pool = _models(options)
        ends.push_async_callback(pool.aclose)
        await pool.server(1).start()
        recipe = recipes.load("default")
        endpoint = Endpoint(pool.url, pool="dns")
        plan = Plan(
            folder=folder,
            recipe=recipe,
            model=serving.Own(endpoint=endpoint),
            kafka=KafkaClient(bootstrap=kafka.bootstrap),
            ledger=valkey.url if valkey else f"sqlite://{folder / 'ledger.sqlite'}",
            workers=WORKERS,
            env={
                **inherited(),
                **pool.env,
                "REASONMED_LEASE_S": str(LEASE_S),
                "REASONMED_SESSION_S": str(SESSION_S),
                "REASONMED_EXPORT__AGE_S": str(EXPORT_AGE_S),
            },
            drain_s=DRAIN_S,
        )
        running = await ends.enter_async_context(stack.running(plan, say=print, on_event=recorder.hear))
        recorder.watch(running)
        producer = aiokafka.AIOKafkaProducer(
            **running.client.arguments(), enable_idempotence=True, max_request_size=running.client.max_message_bytes
        )
        await producer.start()
        ends.push_async_callback(producer.stop)
        ledger = await ends.enter_async_context(open_ledger(running.ledger))
        rig = Rig(options, running, kafka, valkey, pool, producer, ledger, known)
        ends.push_async_callback(rig.aclose)
        if options.sampling == "mixed":
            adaptive = recipe.with_(name="adaptive", sampling="adaptive", judge="needed")
            async with KafkaSink(running.client) as sink:
                rig.adaptive = await publish_recipe(
                    sink, adaptive, current=False, max_message_bytes=running.client.max_message_bytes
                )
        following = asyncio.create_task(rig.follow())
        ends.callback(following.cancel)
        following.add_done_callback(rig.follower_ended)
        _announce(rig)
        yield rig


def _announce(rig: Rig) -> None:
    """Write the coordinates, so that commands such as `reasonmed status --folder …` work on this run."""
    running = rig.stack
    coordinates.save(
        rig.options.folder,
        coordinates.Coordinates(
            pid=os.getpid(),
            bootstrap=running.client.bootstrap,
            gateway=running.gateway,
            ledger=running.ledger,
            dataset=running.dataset,
            calls_log=rig.log,
            recipe_id=running.recipe_id,
            metrics={name: f"http://{LOOPBACK}:{port}/metrics" for name, port in running.ports.items()},
        ),
    )


def _models(options: Options) -> ModelPool:
    file = options.folder / "questions.jsonl"
    with file.open("wb") as lines:
        for question in questions(options.cases + SPARE):
            lines.write(orjson.dumps(question.model_dump(mode="json"), option=orjson.OPT_APPEND_NEWLINE))
    logs = options.folder / "logs"
    logs.mkdir(exist_ok=True)
    given = {
        "slots": 1_024,
        "latency": LATENCY,
        "seed": options.seed,
        "questions": file,
        "fault-rate": REPLY_FAULTS,
        "log": logs / "calls.jsonl",
    }
    arguments = [part for name, value in given.items() for part in (f"--{name}", str(value))]
    return ModelPool(options.folder, free_ports(1)[0], arguments)


class _Recorder:
    """Records each process of each worker."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._stack: Stack | None = None
        self._open: dict[str, tuple[int, float]] = {}
        self._stopping: dict[str, float] = {}

    def watch(self, running: Stack) -> None:
        self._stack = running
        for name, history in running.workers.histories().items():
            self._open[name] = (history.pid or 0, time.time())

    def hear(self, event: Event) -> None:
        if self._stack is None:
            return
        if event.state is WorkerState.STOPPING:
            self._stopping[event.name] = time.time()
        elif event.state is WorkerState.RUNNING:
            self._open[event.name] = (self._stack.workers.histories()[event.name].pid or 0, time.time())
        elif event.exit_code is not None:
            pid, began = self._open.pop(event.name)
            how: Literal["killed", "exited", "stopped"]
            how = "killed" if event.exit_code < 0 else "exited" if event.exit_code else "stopped"
            cut = self._stopping.pop(event.name, time.time()) + DRAIN_S
            ended = time.time()
            self._known.lives.append(Life(event.name, pid, began, ended, how, cut if cut <= ended else None))
