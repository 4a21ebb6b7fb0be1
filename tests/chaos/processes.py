"""Faults of the services' processes."""

import asyncio
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from services.core import ids
from services.core.owner import Owner
from services.importers.rows import outgoing
from services.local.processes.process import Process, until
from services.local.processes.readiness import READY_WITHIN
from services.local.stack import SINGLE, STAGES
from tests.chaos.causes import Pause
from tests.chaos.rig import DRAIN_S, LEASE_S, SESSION_S, WORKERS, Rig, Tail

ENDS_WITHIN_S = 60.0
"""Time until a process that cannot write exits: a case must reach its records first."""
KILLER_WITHIN_S = 600.0
"""Time until a message that kills its process is a dead letter, after five deaths: each takes a lease, a back-off and a
start."""


def a_worker(chance: Random) -> str:
    """A random worker of a stage that calls models."""
    return f"{chance.choice(list(STAGES))}-{chance.randint(1, WORKERS)}"


async def kill(rig: Rig, name: str) -> str:
    """kill -9; the supervisor restarts it."""
    await rig.stack.workers.kill(name)
    return name


async def kill_worker(rig: Rig, chance: Random) -> str:
    """kill -9 of a worker with calls in flight."""
    return await kill(rig, a_worker(chance))


async def kill_router(rig: Rig, chance: Random) -> str:
    """kill -9 of the router."""
    return await kill(rig, "router")


async def kill_exporter(rig: Rig, chance: Random) -> str:
    """kill -9 of the exporter."""
    return await kill(rig, "exporter")


async def kill_gateway(rig: Rig, chance: Random) -> str:
    """kill -9 of the gateway with requests in flight."""
    return await kill(rig, "gateway")


async def drain(rig: Rig, chance: Random) -> str:
    """SIGTERM; calls in flight end within the deadline. Then the process is restarted."""
    name = chance.choice([*SINGLE, *(a_worker(chance) for _ in range(3 * len(SINGLE)))])
    await _restart(rig, name)
    return name


async def drain_cut(rig: Rig, chance: Random) -> str:
    """SIGTERM with calls in flight beyond the deadline: they are cancelled, and made again by another worker."""
    name = f"{chance.choice(('generator', 'verifier'))}-{chance.randint(1, WORKERS)}"
    rig.submit([rig.spare() for _ in range(8)], chance)
    await rig.window("slow", 4.0, share=0.5, delay_s=2 * DRAIN_S)
    await _restart(rig, name)
    return name


async def join_and_leave(rig: Rig, chance: Random) -> str:
    """A third worker joins; once it is ready, two leave at the same time; then one joins again."""
    stage = chance.choice([*STAGES, "router"])
    extra = f"{stage}-3"
    await _start(rig, extra, stage)
    await _until_ready(rig, extra)
    leaving = [chance.choice([name for name in _members(rig, stage) if name != extra]), extra]
    await asyncio.gather(*(rig.stack.workers.stop(name) for name in leaving))
    await _start(rig, leaving[0], stage)
    return stage


async def rebalances(rig: Rig, chance: Random) -> str:
    """Members join and leave one after another, faster than a rebalance settles."""
    stage = chance.choice([*STAGES, "router"])
    extra = f"{stage}-3"
    for _ in range(3):
        await _start(rig, extra, stage)
        await asyncio.sleep(chance.uniform(1.5, 5.0))
        await rig.stack.workers.stop(extra)
    return stage


async def pause_worker(rig: Rig, chance: Random) -> str:
    """SIGSTOP past the session time-out (and the lease), then SIGCONT."""
    return await _pause(rig, a_worker(chance))


async def pause_router(rig: Rig, chance: Random) -> str:
    """The same for the router, which has no other member to take over."""
    return await _pause(rig, "router")


async def exporter_disk_full(rig: Rig, chance: Random) -> str:
    """The exporter cannot write: it exits, and is restarted once there is space."""
    process = rig.stack.workers.process("exporter")
    with disk_full(process):
        rig.submit([rig.spare() for _ in range(4)], chance)  # records for it to write
        async with asyncio.timeout(ENDS_WITHIN_S):
            code = await process.wait()
    return f"exporter, exit {code}"


async def killer(rig: Rig, chance: Random) -> str:
    """A message that kills its process: each process that starts a call for it is killed, until it is a dead letter.
    That takes a minute or two; other faults are injected meanwhile."""
    question = rig.spare()
    case_id = ids.case_id(question)
    rig.known.expected.add(case_id)
    rig.known.killers.add(case_id)
    rig.background.append(asyncio.create_task(_kill_until_dead(rig, case_id, Tail(rig.log))))
    await rig.put(outgoing(question))
    return case_id


async def _kill_until_dead(rig: Rig, case_id: str, log: Tail) -> None:
    dead = asyncio.create_task(rig.until(lambda: case_id in rig.progress.ends, KILLER_WITHIN_S))
    while not dead.done():
        for line in log.new():
            if line["event"] == "start" and line["case"] == case_id:
                await _kill_owner(rig, line["owner"])
        await asyncio.wait((dead,), timeout=0.1)
    if not dead.result() or rig.progress.ends[case_id] != "dead":
        raise AssertionError(f"case {case_id} killed its processes for {KILLER_WITHIN_S:g} s and is not a dead letter")


async def _kill_owner(rig: Rig, owner: str) -> None:
    found = Owner.parse(owner)
    for name, history in rig.stack.workers.histories().items():
        if (name, history.pid) == (found.host, found.pid):
            await rig.stack.workers.kill(name)


async def _restart(rig: Rig, name: str) -> None:
    await rig.stack.workers.stop(name)
    await _start(rig, name, _stage(name))


async def _start(rig: Rig, name: str, stage: str) -> None:
    port = rig.stack.ports.get(name) or rig.extra_port(name)
    arguments = STAGES.get(stage) or SINGLE[stage]
    await rig.stack.workers.start(name, rig.stack.command(arguments, name, port=port))


def _stage(name: str) -> str:
    return name if name in SINGLE else name.rpartition("-")[0]


def _members(rig: Rig, stage: str) -> list[str]:
    histories = rig.stack.workers.histories()
    return [name for name, history in histories.items() if _stage(name) == stage and history.pid is not None]


async def _until_ready(rig: Rig, name: str) -> None:
    async def is_ready() -> bool:
        return await rig.why_not_ready(name) is None

    async with asyncio.timeout(READY_WITHIN):
        await until(is_ready, every=0.25)


async def _pause(rig: Rig, name: str) -> str:
    process = rig.stack.workers.process(name)
    pid, since = process.pid or 0, time.time()
    process.pause()
    try:
        await asyncio.sleep(max(SESSION_S, LEASE_S) + 3.0)
    finally:
        process.resume()
        rig.known.pauses.append(Pause(pid, since, time.time()))
    return name


@contextmanager
def disk_full(process: Process) -> Iterator[None]:
    """Within the block, writes of the process beyond a file's first byte fail (EFBIG instead of a full disk's ENOSPC:
    the limit on file sizes can be set for another process, without privileges). A process that does not ignore SIGXFSZ
    dies instead: Python and Java ignore it, and the rig makes Valkey ignore it."""
    pid = process.pid or 0
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        if process.pid == pid:  # it may have exited and been restarted without the limit
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
