"""The engine with Kafka and the ledger in memory: the drain (rule 9)."""

from collections.abc import Awaitable, Callable
from typing import Any

from services.core.errors import Draining
from services.runtime.engine.commit_rule import Committed
from tests.unit.runtime.conftest import names

Eventually = Callable[..., Awaitable[None]]


async def test_a_drain_lets_what_is_under_way_end(bench: Any, eventually: Eventually) -> None:
    bench.send(*names(6))
    bench.hold_back(*names(2))
    async with bench.worker(limits={"cases": 2}) as worker:
        await eventually(lambda: len(bench.begun) == 2)
        worker.stop.set()
        await eventually(lambda: bench.drained)
        assert not worker.engine.health().ready
        assert "draining" in worker.engine.health().why
        bench.let(*names(2))
        await worker.running
    assert bench.drained == 1
    assert bench.begun == names(2), "nothing new is taken"
    assert bench.committed() == Committed(2)


async def test_what_takes_longer_is_left_to_the_next_owner(bench: Any, eventually: Eventually) -> None:
    bench.send(*names(3))
    bench.hold_back(b"0")
    async with bench.worker(limits={"leave_s": 0.05}):
        await eventually(lambda: len(bench.outputs()) == 2)
    assert bench.committed().offset == 0
    assert await bench.left_open(0) == 0


async def test_a_draining_refusal_leaves_the_record(bench: Any, eventually: Eventually) -> None:
    bench.send(b"0")
    bench.hold_back(b"0")
    bench.raises[b"0"] = [Draining("no new call")]
    async with bench.worker() as worker:
        await eventually(lambda: bench.begun)
        worker.stop.set()
        await eventually(lambda: bench.drained)
        bench.let(b"0")
    assert bench.committed() in (None, Committed(0))
    assert not bench.outputs()
    assert not bench.dead()
    assert await bench.left_open(0) == 0


async def test_a_draining_refusal_without_a_drain_is_retried(bench: Any, eventually: Eventually) -> None:
    bench.send(b"0")
    bench.raises[b"0"] = [Draining("no new call")] * 2
    async with bench.worker() as worker:
        await eventually(lambda: bench.committed() == Committed(1))
        assert worker.counters.waits.total() >= 2
    assert bench.outputs() == [b"0"]
    assert not bench.dead()


async def test_it_can_be_stopped_while_it_waits_for_a_broker(bench: Any, eventually: Eventually) -> None:
    bench.broker.away = "not up yet"
    async with bench.worker() as worker:
        await eventually(lambda: worker.counters.waits.total() > 1)
        assert worker.engine.health().live
        assert not worker.engine.health().ready


async def test_it_waits_for_a_broker_at_the_start(bench: Any, eventually: Eventually) -> None:
    bench.broker.away = "not up yet"
    bench.send(b"0")
    async with bench.worker() as worker:
        await eventually(lambda: worker.counters.waits.total() > 1)
        bench.broker.away = None
        await eventually(lambda: bench.committed() == Committed(1))
