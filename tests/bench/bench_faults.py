"""The exporter under faults: `python -m tests.bench.bench_faults [--records 100000] [--kills 50] [--rebalances 20]`.

On Apache Kafka with four partitions: records are written all the time, while exporters are killed with -9, join and
leave the group, and one is stopped past its session and goes on beside its heir. Then the topic is compared with the
table: each record once, none missing. Prints JSON; exit code 1 where they differ.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from services.contracts.codec import encode
from services.contracts.topics import RECORD_COMPLETED
from services.core.messages import OutgoingRecord
from services.datasets.dataset import Dataset
from services.local.processes.process import Process
from services.local.servers.kafka import KafkaCluster
from services.runtime.kafka.sink import KafkaSink
from tests.kafka.exporting import PARTITIONS, Stand, ended_or_logged, logged, until
from tests.unit.exporter.world import record

BATCH = 250


async def main(options: argparse.Namespace) -> bool:
    chance, began = random.Random(12), time.monotonic()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        async with AsyncExitStack() as stack:
            quick = {"group.min.session.timeout.ms": "500"}
            kafka = await stack.enter_async_context(KafkaCluster(Path(folder) / "kafka", properties=quick))
            stand = Stand(kafka, Path(folder), stack)
            await stand.declare()
            writing = asyncio.create_task(write(stand, options.records, options.kills + options.rebalances + 1))
            kills = await killed(stand, options.kills, chance)
            rebalances = await rebalanced(stand, options.rebalances)
            await stopped(stand)
            await writing
            last = await stand.exporter("--once", rows=2_000)
            assert await last.wait() == 0, last.log_tail()
            shown = await compared(stand)
    shown |= {"kills": kills, "rebalances": rebalances, "seconds": round(time.monotonic() - began)}
    sys.stdout.write(json.dumps(shown) + "\n")
    return shown["missing"] == shown["twice"] == shown["strange"] == 0


async def write(stand: Stand, count: int, steps: int) -> None:
    """All records, spread over the faults: so many in each of some steps of three seconds."""
    async with KafkaSink(stand.client) as sink:
        for first in range(0, count, BATCH):
            some = [record(number) for number in range(first, min(first + BATCH, count))]
            await sink.publish(
                [OutgoingRecord(RECORD_COMPLETED, one.case_id.encode(), encode(one), {}) for one in some]
            )
            await asyncio.sleep(3 * steps * BATCH / count)


async def killed(stand: Stand, times: int, chance: random.Random) -> int:
    """Kill an exporter at any moment: while it starts, between two steps of a commit, or later."""
    for _ in range(times):
        exporter = await stand.exporter("--once", rows=100)
        parts = chance.randint(0, 6)
        event = "committed" if parts else "writing"
        await until(partial(ended_or_logged, exporter, event, parts), every_s=0.002)
        await asyncio.sleep(chance.uniform(0, 0.05))
        await exporter.kill()
    return times


async def rebalanced(stand: Stand, times: int) -> int:
    """Exporters join a group of one or two, and leave: by SIGTERM and by kill in turn."""
    members: list[Process] = [await joined(stand)]
    for number in range(times // 2):
        members.append(await joined(stand))
        leaver = members.pop(0)
        assert await leaver.terminate() == 0 if number % 2 else await leaver.kill()
    for each in members:
        await each.terminate()
    return times


async def stopped(stand: Stand) -> None:
    """One stands still with an open part until its heir has written it, and then goes on."""
    zombie = await stand.exporter(age_s=600, rows=100_000)
    await until(lambda: len(logged(zombie, "writing")) == PARTITIONS, within_s=120)
    await asyncio.sleep(2)
    zombie.pause()
    heir = await stand.exporter()
    await until(lambda: len(logged(heir, "committed")) > PARTITIONS, within_s=120)
    zombie.resume()
    await zombie.terminate()
    await heir.terminate()


async def joined(stand: Stand) -> Process:
    """An exporter that has a partition."""
    exporter = await stand.exporter(rows=100)
    await until(lambda: bool(logged(exporter, "writing")), within_s=120)
    return exporter


async def compared(stand: Stand) -> dict[str, int]:
    """The topic's records against the table's."""
    expected = Counter[str]()
    for message in await stand.messages():
        expected[json.loads(message.value or b"")["record_id"]] += 1
    found = Counter[str]()
    dataset = Dataset.open(stand.folder)
    for batch in dataset.batches(["record_id"]):
        found.update(batch[0].to_pylist())
    return {
        "records": len(expected),
        "missing": len(expected.keys() - found.keys()),
        "twice": sum(count > 1 for count in found.values()),
        "strange": len(found.keys() - expected.keys()),
        "commits": len(dataset.commits()),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("records", 100_000), ("kills", 50), ("rebalances", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    sys.exit(not asyncio.run(main(parser.parse_args())))
