"""The engine on Apache Kafka itself, its workers real processes: killed, stopped, stood still, crowded."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from services.contracts.codec import decode
from services.contracts.dead import DEAD_LETTER_HEADER, DeadLetter
from services.core.messages import Position
from services.ledger.sqlite.ledger import open_sqlite
from services.local.processes.ports import free_ports
from services.local.servers.kafka import KafkaCluster
from services.runtime.kafka.admin import held, left, progress
from tests.kafka.stage import Stage, many, stats, until
from tests.kafka.tap import http

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(90)]


@pytest_asyncio.fixture(loop_scope="module")
async def stage(kafka: KafkaCluster, tmp_path: Path) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        yield Stage(kafka, tmp_path, stack)


async def test_killed_with_messages_under_way(stage: Stage) -> None:
    await stage.declare(partitions=3)
    await stage.send(*many(150, sleep=0.1))
    first = await stage.worker()
    await stage.until_out(20)
    await first.kill()
    begun, settled = stage.starts(), await stage.settled()
    second = await stage.worker()
    outputs = await stage.until_out(150)
    await second.terminate()
    assert sorted(outputs) == list(range(150))
    assert {number for number, starts in stage.starts().items() if starts > 1} == begun.keys() - settled
    assert await stage.committed() == await stage.ends()


async def test_a_slow_head_of_line_keeps_what_is_finished_behind_it(stage: Stage) -> None:
    gate = stage.folder / "gate"
    await stage.declare()
    await stage.send({"id": 0, "until": str(gate)}, *many(201)[1:])
    first = await stage.worker()
    await stage.until_out(200)
    await until(stage.settled, lambda settled: settled == set(range(1, 201)))
    assert await stage.committed() == [0]
    holds, done = (
        await held(stage.client, [f"{stage.name}-in"]),
        (await progress(stage.client, [stage.name]))[stage.name],
    )
    assert left(holds, done, f"{stage.name}-in") == 1, "the lag is 201"
    await first.kill()
    second = await stage.worker()
    await until(lambda: asyncio.sleep(0, stage.starts()), lambda starts: starts[0] == 2)
    gate.touch()
    await stage.until_out(201)
    await until(stage.committed, lambda offsets: offsets == [201])
    await second.terminate()
    assert stage.starts() == {0: 2} | dict.fromkeys(range(1, 201), 1)
    assert set((await stage.outputs()).values()) == {1}
    assert stats(second)["skipped"] == 200


async def test_saturated_past_the_poll_interval(stage: Stage) -> None:
    await stage.declare()
    await stage.send(*many(6, sleep=3.0))
    worker = await stage.worker(limits={"cases": 2}, times={"poll_s": 2.0, "session_s": 6.0})
    await stage.until_out(6)
    await worker.terminate()
    assert set(stage.starts().values()) == {1}
    assert stats(worker)["rebalances"] == 0


async def test_workers_join_and_leave_under_load(stage: Stage) -> None:
    await stage.declare(partitions=6)
    await stage.send(*many(600, sleep=0.2))
    first = await stage.worker()
    await stage.until_out(30)
    second = await stage.worker()
    third = await stage.worker()
    await stage.until_out(250)
    await first.terminate()
    await third.kill()
    outputs = await stage.until_out(600)
    await until(stage.committed, lambda offsets: sum(offsets) == 600)
    await second.terminate()
    assert sorted(outputs) == list(range(600))
    assert first.returncode == second.returncode == 0
    repeats = sum(stage.starts().values()) - 600
    assert repeats <= 16 * 8, "no more than what was under way at each rebalance and kill"


async def test_sigterm_lets_what_is_under_way_end(stage: Stage) -> None:
    await stage.declare(partitions=2)
    await stage.send(*many(40, sleep=1.0))
    first = await stage.worker(limits={"cases": 10, "leave_s": 60.0})
    await until(lambda: asyncio.sleep(0, stage.starts()), lambda starts: len(starts) >= 10)
    await first.terminate()
    assert first.returncode == 0
    done = await stage.outputs()
    assert done == stage.starts(), "all that was begun has ended, once"
    assert stats(first)["draining"]
    second = await stage.worker(limits={"cases": 40})
    outputs = await stage.until_out(40)
    await second.terminate()
    assert set(outputs.values()) == {1}
    assert set(stage.starts().values()) == {1}
    assert await stage.committed() == await stage.ends()


async def test_drains_deadline_leaves_the_rest_to_others(stage: Stage) -> None:
    await stage.declare()
    await stage.send({"id": 0, "until": str(stage.folder / "never")}, *many(5)[1:])
    worker = await stage.worker(limits={"leave_s": 0.5})
    await stage.until_out(4)
    await worker.terminate()
    assert worker.returncode == 0
    assert await stage.committed() == [0]
    async with open_sqlite(Path(stage.settings["ledger"])) as ledger:
        left = await ledger.attempts.open_attempt(stage.name, Position(f"{stage.name}-in", 0, 0), owner="other")
    assert left == 0, "its attempt was closed"


async def test_a_message_that_kills_its_process(stage: Stage) -> None:
    await stage.declare()
    await stage.send(*many(10, sleep=0.3), {"id": 10, "do": "die"}, *many(20, sleep=0.1)[11:])
    # One task for all lives: cancelled as it connects, aiokafka leaves a connection open.
    dead = asyncio.create_task(until(lambda: stage.read("dead"), bool, within_s=100))
    for _ in range(8):
        worker = await stage.worker()
        ended = asyncio.create_task(worker.wait())
        await asyncio.wait({ended, dead}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        await asyncio.wait({ended})
        if dead.done():
            break
    await dead
    outputs = await stage.until_out(19)
    await worker.terminate()
    [letter] = await stage.read("dead")
    reason = decode(DeadLetter, letter.headers[DEAD_LETTER_HEADER])
    assert (reason.kind, reason.offset, reason.attempts) == ("killer", 10, 5)
    assert letter.value == json.dumps({"id": 10, "do": "die"}).encode()
    assert sorted(outputs) == [number for number in range(20) if number != 10]
    assert stage.starts()[10] == 4, "three among others, once alone"


async def test_a_burst_of_dead_letters_opens_the_circuit_until_it_is_closed(stage: Stage) -> None:
    await stage.declare()
    [port] = free_ports(1)
    await stage.send(*many(60, do="dead"))
    limits, policy = {"cases": 5}, {"burst": 20, "look_s": 0.3}
    worker = await stage.worker(limits=limits, policy=policy, port=port)

    async def ready() -> tuple[int, int, list[str]]:
        async with http(f"http://127.0.0.1:{port}") as client:
            try:
                live, ready = await client.get("/healthz"), await client.get("/readyz")
            except httpx.ConnectError:
                return 0, 0, []
        return live.status_code, ready.status_code, ready.json()["why"]

    _, _, why = await until(ready, lambda answer: "circuit is open" in str(answer))
    assert (await ready())[:2] == (200, 503), why
    dead = len(await stage.read("dead"))
    assert 20 <= dead <= 30
    await worker.terminate()
    again = await stage.worker(limits=limits, policy=policy, port=port)
    await until(ready, lambda answer: len(answer[2]) == 1 and "circuit is open" in answer[2][0])
    await asyncio.sleep(0.5)
    assert len(await stage.read("dead")) == dead, "it is kept over a restart"
    async with open_sqlite(Path(stage.settings["ledger"])) as ledger:
        await ledger.circuits.set(stage.name, None)
    await until(lambda: stage.read("dead"), lambda letters: len(letters) >= dead + 20)
    await again.terminate()


async def test_a_worker_that_stood_still_past_its_session_commits_nothing_stale(stage: Stage) -> None:
    gate = stage.folder / "gate"
    await stage.declare()
    await stage.send({"id": 0, "until": str(gate)}, *many(30)[1:])
    first = await stage.worker()
    await stage.until_out(29)
    first.pause()
    second = await stage.worker()
    await until(lambda: asyncio.sleep(0, stage.starts()), lambda starts: starts[0] == 2)
    gate.touch()
    await until(stage.committed, lambda offsets: offsets == [30])
    first.resume()
    await asyncio.sleep(1.5)
    assert await stage.committed() == [30]
    await stage.send(*many(40)[30:])
    await stage.until_out(40)
    await first.terminate()
    await second.terminate()
    assert await stage.committed() == [40]


async def test_the_broker_stopped_and_started(stage: Stage, kafka: KafkaCluster) -> None:
    await stage.declare(partitions=3)
    await stage.send(*many(200, sleep=0.2))
    worker = await stage.worker()
    await stage.until_out(20)
    await kafka.stop_broker(0)
    await asyncio.sleep(4)
    assert worker.returncode is None, "a broker that is away is no reason to end"
    await kafka.start_broker(0)
    outputs = await stage.until_out(200)
    await until(stage.committed, lambda offsets: sum(offsets) == 200)
    await worker.terminate()
    assert worker.returncode == 0
    assert sorted(outputs) == list(range(200))
