"""Several processes on one ledger, one of them killed: each call is paid for once, except those it was making."""

import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from services.core.ledger.calls import Reply
from services.core.ledger.ports import CallRow, ClaimRow

CALLS = 60
LEASE_S = 3.0
"""Much longer than a call (0.02 s), so that a stall of the test machine expires no lease."""


@dataclass(frozen=True)
class Begun:
    call_id: str
    owner: str
    at: float


class Worker:
    """A process of ledger_worker.py."""

    def __init__(self, url: str, owner: str, work_s: float) -> None:
        self.owner = owner
        script = str(Path(__file__).with_name("ledger_worker.py"))
        words = [sys.executable, script, url, owner, str(CALLS), str(LEASE_S), str(work_s)]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._lines: list[str] = []

    def until_begun(self, calls: int) -> None:
        """Wait until it has started this many calls."""
        assert self._process.stdout is not None
        while len(self._lines) < calls:
            line = self._process.stdout.readline()
            assert line, f"{self.owner} ended with {len(self._lines)} calls begun"
            self._lines.append(line)

    def finish(self) -> int:
        """Wait for its end; returns its exit code."""
        out, err = self._process.communicate(timeout=60)
        self._lines += out.splitlines()
        assert "Traceback" not in err, err
        return self._process.returncode

    def begun(self) -> list[Begun]:
        return [Begun(call_id, self.owner, float(at)) for _, call_id, at in map(str.split, self._lines)]

    def kill(self) -> None:
        """kill -9, if it is still running."""
        self._process.kill()

    def reap(self) -> None:
        """Wait for its end, and close its pipes."""
        self._process.communicate()


@dataclass(frozen=True)
class Run:
    """The output of several processes, and the ledger's contents afterwards."""

    begun: list[Begun]
    claims: list[ClaimRow]
    calls: list[CallRow]
    exits: dict[str, int]

    def leases(self, call_id: str) -> list[ClaimRow]:
        return [row for row in self.claims if row.call_id == call_id]


@pytest.fixture
async def run(shared_store) -> Run:
    """Four workers on the same 60 calls; the 'victim', a slow one, is killed during its fourth call, with a fifth one
    leased."""
    workers = [Worker(shared_store.url, "victim", work_s=0.25)]
    try:
        workers[0].until_begun(1)
        workers += [Worker(shared_store.url, f"worker-{number}", work_s=0.02) for number in range(3)]
        workers[0].until_begun(4)
        workers[0].kill()
        exits = {worker.owner: worker.finish() for worker in workers}
    finally:
        for worker in workers:
            worker.kill()
            worker.reap()
    begun = [it for worker in workers for it in worker.begun()]
    async with shared_store.ledger() as ledger:
        return Run(begun, await ledger.books.claims(), await ledger.books.calls(), exits)


async def test_several_processes_at_once_one_of_them_killed(run: Run) -> None:
    """Every call is completed once. No call has two live leases. None is begun but under its owner's lease, and twice
    only where the killed process was making it; what that had leased is taken over after the lease's end, not before.
    """
    assert run.exits == {"worker-0": 0, "worker-1": 0, "worker-2": 0, "victim": -9}
    completed_once(run)
    leases_never_overlap(run)
    work_is_begun_under_a_lease(run)
    only_the_victims_calls_are_begun_twice(run)
    the_victims_calls_are_taken_over_later(run)


def completed_once(run: Run) -> None:
    assert sorted(row.call_id for row in run.calls) == sorted(f"call-{number}" for number in range(CALLS))
    for row in run.calls:
        assert isinstance(row.outcome, Reply)
        assert row.outcome.text == f"by {row.owner}"
        completed = [lease.owner for lease in run.leases(row.call_id) if lease.ended == "completed"]
        assert completed == [row.owner]


def leases_never_overlap(run: Run) -> None:
    for call_id in {row.call_id for row in run.claims}:
        assert all(one.until <= two.since for one, two in pairwise(run.leases(call_id)))


def work_is_begun_under_a_lease(run: Run) -> None:
    for it in run.begun:
        assert any(row.owner == it.owner and row.since <= it.at < row.until for row in run.leases(it.call_id)), it


def only_the_victims_calls_are_begun_twice(run: Run) -> None:
    for row in run.calls:
        owners = [it.owner for it in sorted(run.begun, key=lambda it: it.at) if it.call_id == row.call_id]
        assert owners in ([row.owner], ["victim", row.owner])


def the_victims_calls_are_taken_over_later(run: Run) -> None:
    held = [row for row in run.claims if row.owner == "victim" and row.ended == "open"]
    assert held, "it was killed in the middle of a call"
    for row in held:
        [_, taken] = run.leases(row.call_id)
        assert taken.owner != "victim"
        assert taken.since >= row.until
