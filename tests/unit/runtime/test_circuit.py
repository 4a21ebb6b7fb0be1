"""The circuit: when it opens, how it closes, that it is kept (rule 13)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.core.errors import Dead, LedgerAway
from services.ledger.memory.circuits import MemoryCircuits
from services.ledger.memory.server import MemoryServer
from services.runtime.engine.circuit import Circuit, CircuitPolicy

Eventually = Callable[..., Awaitable[None]]
POLICY = CircuitPolicy(burst=3, within_s=60, probe_s=30, look_s=0.01)


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def a_circuit(ledger: MemoryCircuits, clock: Clock) -> Circuit:
    return Circuit("toy", circuits=ledger, policy=POLICY, clock=clock)


async def test_only_a_burst_opens_it() -> None:
    ledger, clock = MemoryCircuits(MemoryServer()), Clock()
    circuit = a_circuit(ledger, clock)
    await circuit.look()
    for _ in range(10):
        circuit.dead()
        circuit.succeeded(probe=False)
        clock.now += 31
    assert circuit.why is None
    circuit.dead()
    clock.now += 10
    circuit.dead()
    circuit.dead()
    assert circuit.why == "3 dead letters within 41 s"
    assert await ledger.why("toy") is None
    await circuit.look()
    assert await ledger.why("toy") == circuit.why


async def test_dead_letters_in_a_row_open_it_however_slowly_they_come() -> None:
    """A service in order makes 12 a minute where each waits for a recipe that nobody published."""
    ledger, clock = MemoryCircuits(MemoryServer()), Clock()
    circuit = a_circuit(ledger, clock)
    await circuit.look()
    for _ in range(2):
        circuit.dead()
        clock.now += 300
    circuit.succeeded(probe=False)
    for _ in range(2):
        assert circuit.why is None
        circuit.dead()
        clock.now += 300
    assert circuit.why is None
    circuit.dead()
    assert circuit.why == "3 dead letters in a row"


async def test_it_is_kept_over_a_restart_and_shared() -> None:
    ledger, clock = MemoryCircuits(MemoryServer()), Clock()
    await ledger.set("toy", "a bad deploy")
    circuit = a_circuit(ledger, clock)
    assert not circuit.known
    await circuit.look()
    assert circuit.known
    assert circuit.why == "a bad deploy"
    await ledger.set("toy", None)
    await circuit.look()
    assert circuit.why is None


async def test_it_is_tried_now_and_then() -> None:
    clock = Clock()
    ledger = MemoryCircuits(MemoryServer(clock))
    await ledger.set("toy", "a bad deploy")
    circuit = a_circuit(ledger, clock)
    await circuit.look()
    assert not circuit.probe_due()
    for _ in range(2):
        clock.now += 30
        await circuit.look()
        assert circuit.probe_due()
        circuit.probe_begins()
        await circuit.look()
        assert not circuit.probe_due()
    circuit.succeeded(probe=True)
    assert circuit.why is None
    await circuit.look()
    assert await ledger.why("toy") is None


async def test_of_64_workers_one_probes() -> None:
    """They leaked 7,616 messages an hour when each had its own probes."""
    clock = Clock()
    ledger = MemoryCircuits(MemoryServer(clock))
    await ledger.set("toy", "a bad deploy")
    circuits = [a_circuit(ledger, clock) for _ in range(64)]
    probes = 0
    for _ in range(3_600):
        for circuit in circuits:
            await circuit.look()
            if circuit.probe_due():
                circuit.probe_begins()
                await circuit.look()
                probes += 1
        clock.now += 1
    assert 100 <= probes <= 120


async def test_a_worker_without_records_leaves_its_turn_to_another() -> None:
    clock = Clock()
    ledger = MemoryCircuits(MemoryServer(clock))
    await ledger.set("toy", "a bad deploy")
    idle, busy = a_circuit(ledger, clock), a_circuit(ledger, clock)
    for circuit in (idle, busy):
        await circuit.look()
    clock.now += 30
    for circuit in (idle, busy):
        await circuit.look()
    assert (idle.probe_due(), busy.probe_due()) == (True, False)
    clock.now += 2 * POLICY.look_s
    await busy.look()
    assert (idle.probe_due(), busy.probe_due()) == (False, True)


async def test_a_circuit_change_is_written_after_a_ledger_outage() -> None:
    server, clock = MemoryServer(), Clock()
    ledger = MemoryCircuits(server)
    circuit = a_circuit(ledger, clock)
    await circuit.look()
    server.away = "locked"
    for _ in range(3):
        circuit.dead()
    with pytest.raises(LedgerAway):
        await circuit.look()
    assert circuit.why
    server.away = None
    await circuit.look()
    await circuit.look()
    assert circuit.why
    assert await ledger.why("toy") == circuit.why


async def test_an_answer_that_is_older_than_the_opening_does_not_close_it() -> None:
    ledger, clock = MemoryCircuits(MemoryServer()), Clock()
    circuit = a_circuit(ledger, clock)
    asked = ledger.why

    async def burst_while_asking(service: str) -> str | None:
        answer = await asked(service)
        for _ in range(3):
            circuit.dead()
        return answer

    ledger.why = burst_while_asking
    await circuit.look()
    assert circuit.why


async def test_the_engine_stops_probes_and_resumes(bench: Any, eventually: Eventually) -> None:
    clock = Clock()
    values = [str(number).encode() for number in range(30)]
    bench.send(*values)
    for value in values[:5]:
        bench.raises[value] = [Dead("not_yet", "no such recipe")]
    bench.server.clock = clock
    async with bench.worker(policy=POLICY, clock=clock, limits={"cases": 1}) as worker:
        await eventually(lambda: worker.engine.state().circuit_open)
        assert len(bench.dead()) == 3
        health = worker.engine.health()
        assert health.live
        assert not health.ready
        assert "the circuit is open: 3 dead letters within 0 s" in health.why
        await eventually(lambda: worker.counters.pauses > 5)
        assert len(bench.begun) == 3, "paused"
        for probes in (4, 5):
            clock.now += 31
            await eventually(lambda: len(bench.dead()) == probes)  # noqa: B023
            assert worker.engine.state().circuit_open
        clock.now += 31
        await eventually(lambda: not worker.engine.state().circuit_open)
        await eventually(lambda: len(bench.outputs()) == 25)


async def test_a_command_closes_it(bench: Any, eventually: Eventually) -> None:
    await bench.circuits.set("toy", "by hand")
    bench.send(b"0")
    async with bench.worker(policy=POLICY) as worker:
        await eventually(lambda: worker.engine.state().circuit_open)
        assert not bench.begun
        await bench.circuits.set("toy", None)
        await eventually(lambda: bench.outputs())


async def test_an_opening_is_written_at_once() -> None:
    """Not at the next look: the process may stop before that, and its successor must know."""
    clock, ledger = Clock(), MemoryCircuits(MemoryServer())
    circuit = Circuit("toy", circuits=ledger, policy=CircuitPolicy(burst=2, look_s=3_600), clock=clock)
    await circuit.look()
    looking = asyncio.create_task(circuit.time_to_look())
    await asyncio.sleep(0)
    assert not looking.done()
    circuit.dead()
    circuit.dead()
    await looking
    await circuit.look()
    assert await ledger.why("toy") is not None
