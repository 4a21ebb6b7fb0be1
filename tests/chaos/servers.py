"""Faults of dependencies: brokers, ledger, model server."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from random import Random

from aiokafka.admin import AIOKafkaAdminClient

from services.core.errors import LedgerAway
from services.llm.pool import LOOK_UP_S
from services.local.processes.process import ProcessError, until
from tests.chaos.causes import Outage
from tests.chaos.processes import ENDS_WITHIN_S, a_worker, disk_full
from tests.chaos.rig import Rig

CALL_OF_MINUTES_S = 120.0


# --- brokers --------------------------------------------------------------------------------------------------------


async def broker_stopped(rig: Rig, chance: Random) -> str:
    """Stop a broker and start it after some seconds."""
    index = chance.randrange(rig.options.brokers)
    await rig.kafka.stop_broker(index)
    await asyncio.sleep(chance.uniform(2.0, 12.0))
    await _start_broker(rig, index)
    return f"kafka-{index + 1}"


async def broker_restarted(rig: Rig, chance: Random) -> str:
    """kill -9 under load, and an immediate restart."""
    index = chance.randrange(rig.options.brokers)
    await rig.kafka.kill_broker(index)
    await _start_broker(rig, index)
    return f"kafka-{index + 1}"


async def leader_killed(rig: Rig, chance: Random) -> str:
    """kill -9 of the leader of a busy partition; other brokers continue. It is restarted after some seconds."""
    index = await _leader(rig, "paths-generated")
    await rig.kafka.kill_broker(index)
    await asyncio.sleep(chance.uniform(5.0, 12.0))
    await _start_broker(rig, index)
    return f"kafka-{index + 1}"


async def two_killed(rig: Rig, chance: Random) -> str:
    """kill -9 of two of three brokers: no write succeeds until one is back."""
    killed = chance.sample(range(3), 2)
    await asyncio.gather(*(rig.kafka.kill_broker(index) for index in killed))
    await asyncio.sleep(chance.uniform(3.0, 8.0))
    await asyncio.gather(*(_start_broker(rig, index) for index in killed))
    return " ".join(f"kafka-{index + 1}" for index in sorted(killed))


async def kafka_disk_full(rig: Rig, chance: Random) -> str:
    """A broker's disk is full: the broker exits, and is restarted once there is space."""
    index = chance.randrange(rig.options.brokers)
    process = rig.kafka.processes[index]
    with disk_full(process):
        async with asyncio.timeout(ENDS_WITHIN_S):
            code = await process.wait()
    await _start_broker(rig, index)
    return f"kafka-{index + 1}, exit {code}"


async def _start_broker(rig: Rig, index: int) -> None:
    """Start a broker, like a supervisor: one that does not answer in time on a busy machine is started once more."""
    try:
        await rig.kafka.start_broker(index)
    except ProcessError as slow:
        rig.say(f"kafka-{index + 1} is restarted: {str(slow).splitlines()[0]}")
        await rig.kafka.start_broker(index)


async def _leader(rig: Rig, topic: str) -> int:
    admin = AIOKafkaAdminClient(**rig.stack.client.arguments())
    await admin.start()
    try:
        (described,) = await admin.describe_topics([topic])
        return int(described["partitions"][0]["leader"]) - 1
    finally:
        await admin.close()


# --- the ledger -----------------------------------------------------------------------------------------------------


async def ledger_away(rig: Rig, chance: Random) -> str:
    """The ledger is down, sometimes for longer than a lease: Valkey killed, SQLite locked by another process."""
    seconds = chance.uniform(3.0, 25.0)
    with _outage(rig):
        if rig.valkey is None:
            await asyncio.to_thread(_lock, _file(rig), seconds, 1)
        else:
            await rig.valkey.process.kill()
            await asyncio.sleep(seconds)
            await rig.valkey.start()
    return f"{seconds:.0f} s"


async def ledger_slow(rig: Rig, chance: Random) -> str:
    """Every answer of the ledger takes up to a second, for ten seconds."""
    with _outage(rig):
        if rig.valkey is None:
            await asyncio.to_thread(_lock, _file(rig), 0.7, 10)
        else:
            for _ in range(10):
                rig.valkey.process.pause()
                await asyncio.sleep(0.7)
                rig.valkey.process.resume()
                await asyncio.sleep(0.3)
    return rig.options.ledger


async def ledger_disk_full(rig: Rig, chance: Random) -> str:
    """The ledger cannot write: Valkey; with SQLite a worker, which writes the file (and its log) itself."""
    if rig.valkey is None:
        name = a_worker(chance)
        process = rig.stack.workers.process(name)
        with _outage(rig, process.pid), disk_full(process):
            await asyncio.sleep(chance.uniform(4.0, 12.0))
        return name
    with _outage(rig), disk_full(rig.valkey.process):
        async with asyncio.timeout(ENDS_WITHIN_S):
            await until(lambda: _refuses(rig), every=0.5)
        await asyncio.sleep(chance.uniform(3.0, 8.0))
    return "valkey"


async def _refuses(rig: Rig) -> bool:
    """Whether the ledger rejects writes."""
    try:
        await rig.ledger.circuits.set("chaos", "is the disk full?")
    except LedgerAway:
        return True
    return False


def _file(rig: Rig) -> str:
    return rig.stack.ledger.removeprefix("sqlite://")


def _lock(file: str, seconds: float, times: int) -> None:
    with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as db:
        for _ in range(times):
            db.execute("BEGIN EXCLUSIVE")
            time.sleep(seconds)
            db.execute("ROLLBACK")
            time.sleep(0.3)


@contextmanager
def _outage(rig: Rig, pid: int | None = None) -> Iterator[None]:
    since = time.time()
    try:
        yield
    finally:
        rig.known.outages.append(Outage(since, time.time(), pid))


# --- the model server -----------------------------------------------------------------------------------------------


async def model_away(rig: Rig, chance: Random) -> str:
    """Killed with calls in flight; restarted after some seconds."""
    server = rig.models.server(1)
    await server.kill()
    await asyncio.sleep(chance.uniform(3.0, 15.0))
    await server.start()
    return "llm"


async def model_slow(rig: Rig, chance: Random) -> str:
    """Some calls take minutes."""
    await rig.window("slow", 4.0, share=0.1, delay_s=CALL_OF_MINUTES_S)
    return "llm"


async def model_401(rig: Rig, chance: Random) -> str:
    """The API key is rejected for a while, as after a configuration error."""
    await rig.window("401", chance.uniform(3.0, 8.0))
    return "llm"


async def model_429(rig: Rig, chance: Random) -> str:
    """Too many calls, with Retry-After."""
    await rig.window("429", chance.uniform(3.0, 8.0), share=chance.choice((0.3, 1.0)))
    return "llm"


async def model_500(rig: Rig, chance: Random) -> str:
    """Every second call fails."""
    await rig.window("500", chance.uniform(2.0, 4.0), share=0.5)
    return "llm"


async def model_reset(rig: Rig, chance: Random) -> str:
    """Every second connection is reset in the middle of the reply."""
    await rig.window("reset", chance.uniform(2.0, 4.0), share=0.5)
    return "llm"


async def model_502(rig: Rig, chance: Random) -> str:
    """A proxy answers 502 to everything for more than a minute: its server is down for long."""
    await rig.window("502", chance.uniform(60.0, 80.0))
    return "llm"


async def model_403(rig: Rig, chance: Random) -> str:
    """Single prompts are refused at each try, as by a content filter."""
    await rig.window("403", chance.uniform(8.0, 15.0), share=0.02)
    return "llm"


async def model_error_in_200(rig: Rig, chance: Random) -> str:
    """Every second reply is a 200 with an error inside, as behind a gateway."""
    await rig.window("error_in_200", chance.uniform(3.0, 8.0), share=0.5)
    return "llm"


async def model_interrupted(rig: Rig, chance: Random) -> str:
    """A third of the texts break off, with the finish reason of an interruption."""
    await rig.window("interrupted", chance.uniform(3.0, 8.0), share=0.33)
    return "llm"


async def pool_resized(rig: Rig, chance: Random) -> str:
    """The pool grows to three or four servers and shrinks to one: one is killed before its name changes, the others
    end after it."""
    joined = list(range(2, chance.choice((4, 5))))
    for number in joined:
        await rig.models.server(number).start()
    rig.models.name(1, *joined)
    await asyncio.sleep(chance.uniform(LOOK_UP_S, 3 * LOOK_UP_S))
    lost, *others = joined
    await rig.models.server(lost).kill()
    await asyncio.sleep(chance.uniform(0.0, LOOK_UP_S))
    rig.models.name(1, *others)
    await asyncio.sleep(chance.uniform(0.0, LOOK_UP_S))
    rig.models.name(1)
    await asyncio.sleep(2 * LOOK_UP_S)
    for number in others:
        await rig.models.server(number).terminate()
    return f"{len(joined) + 1} servers"
