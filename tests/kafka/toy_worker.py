"""A worker of a toy stage over the engine, as a process of its own, for tests on real Kafka.

    python toy_worker.py '{"bootstrap": "...", "group": "toy", "topics": ["in"], "out": "out", "dead": "toy-dead",
                           "ledger": "/path", "starts": "/path", ...}'

A message's value is JSON: {"id": 1, "sleep": seconds, "until": file that must exist, "do": "die" | "dead" | "raise"}.
Each start of a message is a line of the file `starts`: its id and our pid. At the end it prints its stats.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import orjson

from services.core.errors import Dead
from services.core.holds import Holds
from services.core.messages import ConsumedRecord, OutgoingRecord
from services.ledger.sqlite.ledger import open_sqlite
from services.runtime.engine.circuit import CircuitPolicy
from services.runtime.engine.engine import Engine
from services.runtime.engine.limits import Limits
from services.runtime.engine.metrics import EngineMetrics, registry
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.membership import GroupTimes
from services.runtime.kafka.sink import KafkaSink
from services.runtime.kafka.source import KafkaSource
from services.runtime.process.health import HealthServer
from services.runtime.process.logs import configure

SETTINGS = json.loads(sys.argv[1])


async def handle(message: ConsumedRecord) -> list[OutgoingRecord]:
    body = orjson.loads(message.value or b"")
    with open(SETTINGS["starts"], "a") as starts:  # noqa: ASYNC230 -- written before anything else happens
        starts.write(f"{body['id']} {os.getpid()}\n")
    if body.get("do") == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if body.get("do") == "dead":
        raise Dead("poison", "requested")
    if body.get("do") == "raise":
        raise RuntimeError("requested")
    await asyncio.sleep(body.get("sleep", 0))
    while "until" in body and not Path(body["until"]).exists():  # noqa: ASYNC110 -- another process's doing
        await asyncio.sleep(0.02)
    return [OutgoingRecord(SETTINGS["out"], message.key or b"", message.value or b"", {})]


async def main() -> None:
    owner = f"toy-{os.getpid()}"
    configure(service="toy", owner=owner)
    client = KafkaClient(bootstrap=SETTINGS["bootstrap"])
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    times = GroupTimes(**{"session_s": 6.0, "rebalance_s": 10.0, **SETTINGS.get("times", {})})
    async with KafkaSink(client) as sink, open_sqlite(Path(SETTINGS["ledger"])) as ledger:
        holds = Holds()
        engine = Engine(
            service=SETTINGS.get("service", "toy"),
            owner=owner,
            source=KafkaSource(client, topics=SETTINGS["topics"], group=SETTINGS["group"], times=times),
            sink=sink,
            handle=handle,
            attempts=ledger.attempts,
            circuits=ledger.circuits,
            holds=holds,
            dead_topic=SETTINGS["dead"],
            limits=Limits(**SETTINGS.get("limits", {})),
            policy=CircuitPolicy(**SETTINGS.get("policy", {})),
        )
        metrics = registry(EngineMetrics("toy", engine.counters, engine.state, holds))
        async with HealthServer(host="127.0.0.1", port=SETTINGS.get("port", 0), health=engine.health, registry=metrics):
            await engine.run(stop)
        sys.stdout.write(json.dumps({**vars(engine.counters), "draining": engine.state().draining}) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
