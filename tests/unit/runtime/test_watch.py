"""Standing still is noticed; a broker that is away is no reason to end (rules 10 and 11)."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from services.core.holds import Holds
from services.runtime.engine.stall import StallDetector, Stalled
from services.runtime.kafka.client_tasks import ended_task

Eventually = Callable[..., Awaitable[None]]

PATIENT_S = 0.5
"""For a worker that must not stop: longer than a busy machine makes an event loop stutter (0.02 s was not, once)."""


def test_a_standstill_is_a_bad_state_that_lasts_without_movement() -> None:
    still = StallDetector(15)
    assert not still.lasts(0, bad=True)
    assert not still.lasts(14, bad=True)
    assert still.lasts(15, bad=True)
    assert not still.lasts(16, bad=True, moved=1)
    assert not still.lasts(30, bad=True, moved=1)
    assert not still.lasts(30.5, bad=False, moved=1)
    assert not still.lasts(31, bad=True, moved=1)
    assert still.lasts(46, bad=True, moved=1)


async def test_lag_and_nothing_fetched_ends_the_process(bench: Any, eventually: Eventually) -> None:
    async def nothing(wanted: Any, *, limit: int, timeout_s: float) -> list[Any]:
        worker.source._settle()
        await asyncio.sleep(timeout_s)
        return []

    bench.send(b"0")
    worker = bench.worker(limits={"still_s": 0.05})
    worker.source.poll = nothing
    with pytest.raises(ExceptionGroup) as raised:
        async with worker:
            await asyncio.wait({worker.running}, timeout=5)
    assert raised.group_contains(Stalled, match="lag, and nothing fetched")


async def test_lag_behind_a_pause_is_no_standstill(bench: Any, eventually: Eventually) -> None:
    bench.send(b"0", b"1")
    bench.hold_back(b"0")
    async with bench.worker(limits={"still_s": PATIENT_S, "cases": 1}) as worker:
        await eventually(lambda: worker.engine.state().lag)
        await asyncio.sleep(1.5 * PATIENT_S)
        assert not worker.running.done()
        bench.let(b"0")


async def test_a_broker_that_is_away_ends_nothing(bench: Any, eventually: Eventually) -> None:
    limits = {"still_s": PATIENT_S, "wedged_s": PATIENT_S}
    async with bench.worker(limits=limits) as worker:
        await eventually(lambda: worker.engine.health().ready)
        bench.broker.away = "restarting"
        bench.send(b"0")
        await eventually(lambda: not worker.engine.health().ready)
        assert worker.engine.health().why == ["the broker doesn't answer"]
        assert worker.engine.health().live
        await asyncio.sleep(1.5 * PATIENT_S)
        bench.broker.away = None
        await eventually(lambda: bench.outputs())
        await eventually(lambda: worker.engine.health().ready)


async def test_a_broker_that_others_reach_and_we_dont_ends_the_process(bench: Any, eventually: Eventually) -> None:
    async def there() -> bool:
        return True

    worker = bench.worker(limits={"wedged_s": 0.05})
    worker.source.reachable = there
    bench.broker.away = "our connection is wedged"
    with pytest.raises(ExceptionGroup) as raised:
        async with worker:
            await asyncio.wait({worker.running}, timeout=5)
    assert raised.group_contains(Stalled, match="the broker is there")


async def test_a_member_whose_commits_are_refused_for_good_ends_the_process(bench: Any, eventually: Eventually) -> None:
    """It continues to fetch, and does not know that its partitions are others': nothing else would notice."""

    async def refused(commits: Any) -> bool:
        return False

    bench.send(b"0")
    worker = bench.worker(limits={"wedged_s": 0.05})
    worker.source.commit = refused
    with pytest.raises(ExceptionGroup) as raised:
        async with worker:
            await asyncio.wait({worker.running}, timeout=5)
    assert raised.group_contains(Stalled, match="the generation has ended")


@pytest.mark.parametrize("name", ["fetcher", "coordinator"])
async def test_a_client_whose_background_task_has_ended_is_over(name: str) -> None:
    ended, runs = asyncio.get_running_loop().create_future(), asyncio.get_running_loop().create_future()
    consumer = SimpleNamespace(
        _fetcher=SimpleNamespace(_fetch_task=ended if name == "fetcher" else runs),
        _coordinator=SimpleNamespace(_coordination_task=ended if name == "coordinator" else runs),
    )
    assert ended_task(consumer) is None
    ended.cancel()
    assert ended_task(consumer) == f"aiokafka's {name} has ended by itself"


async def test_an_overdue_hold_makes_the_worker_not_live(bench: Any, eventually: Eventually) -> None:
    clock = [0.0]
    holds = Holds(clock=lambda: clock[0])
    async with bench.worker(holds=holds) as worker:
        await eventually(lambda: worker.engine.health().ready)
        with holds.hold("call-1", "calling", for_s=10):
            clock[0] = 9
            assert worker.engine.health().live
            clock[0] = 11
            health = worker.engine.health()
        assert not health.live
        assert not health.ready
        assert health.why == ["call-1: calling for too long"]


async def test_ready_needs_an_assignment(bench: Any, eventually: Eventually) -> None:
    async with bench.worker() as worker:
        assert "no assignment" in worker.engine.health().why
        await eventually(lambda: worker.engine.health().ready)
        worker.engine._poller._source = None  # no poll brings it back
        worker.running.cancel()
        await worker.engine.revoked([])
        assert "no assignment" in worker.engine.health().why
        await asyncio.wait({worker.running})
        worker.running = None
