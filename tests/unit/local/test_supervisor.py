"""Workers are kept running until they are asked to stop."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.local.processes.supervisor import Backoff, Command, Event, Supervisor, WorkerState

QUICK = Backoff(first=0.01, longest=0.02)
SLEEPS = "import time; time.sleep(600)"


class Watched:
    """A supervisor whose events can be awaited."""

    def __init__(self, folder: Path, backoff: Backoff = QUICK, stop_within: float = 10) -> None:
        self.folder = folder
        self.seen: list[Event] = []
        self._news = asyncio.Event()
        self.workers = Supervisor(backoff=backoff, stop_within=stop_within, on_event=self._on_event)

    def command(self, code: str) -> Command:
        return Command([sys.executable, "-c", code], self.folder / "worker.log")

    async def until(self, event: Event, times: int = 1) -> None:
        async with asyncio.timeout(10):
            while self.seen.count(event) < times:
                self._news.clear()
                await self._news.wait()

    def _on_event(self, event: Event) -> None:
        self.seen.append(event)
        self._news.set()


@asynccontextmanager
async def watched(folder: Path, backoff: Backoff = QUICK) -> AsyncIterator[Watched]:
    watching = Watched(folder, backoff)
    async with watching.workers:
        yield watching


async def test_exit_is_followed_by_a_restart(tmp_path: Path) -> None:
    async with watched(tmp_path) as its:
        await its.workers.start("router-1", its.command("raise SystemExit(7)"))
        await its.until(Event("router-1", WorkerState.WAITING, 7), times=3)
        history = its.workers.histories()["router-1"]
        assert history.exit_codes[:3] == [7, 7, 7]
        assert history.restarts >= 3
        assert its.seen[:3] == [
            Event("router-1", WorkerState.RUNNING),
            Event("router-1", WorkerState.WAITING, 7),
            Event("router-1", WorkerState.RUNNING),
        ]


async def test_exit_zero_is_followed_by_a_restart_too(tmp_path: Path) -> None:
    async with watched(tmp_path) as its:
        await its.workers.start("router-1", its.command(""))
        await its.until(Event("router-1", WorkerState.WAITING, 0), times=2)


async def test_killed_worker_comes_back_as_another_process(tmp_path: Path) -> None:
    async with watched(tmp_path) as its:
        await its.workers.start("generator-1", its.command(SLEEPS))
        first = its.workers.histories()["generator-1"].pid
        await its.workers.kill("generator-1")
        await its.until(Event("generator-1", WorkerState.RUNNING), times=2)
        history = its.workers.histories()["generator-1"]
        assert history.exit_codes == [-signal.SIGKILL]
        assert history.pid not in (first, None)


async def test_stopped_worker_stays_stopped(tmp_path: Path) -> None:
    async with watched(tmp_path) as its:
        await its.workers.start("router-1", its.command(SLEEPS))
        await its.workers.stop("router-1")
        assert its.seen[-2:] == [
            Event("router-1", WorkerState.STOPPING),
            Event("router-1", WorkerState.STOPPED, -signal.SIGTERM),
        ]
        history = its.workers.histories()["router-1"]
        assert (history.state, history.pid, history.restarts) == (WorkerState.STOPPED, None, 0)


async def test_worker_that_waits_for_its_restart_can_be_stopped(tmp_path: Path) -> None:
    async with watched(tmp_path, Backoff(first=600, longest=600)) as its:
        await its.workers.start("router-1", its.command("raise SystemExit(1)"))
        await its.until(Event("router-1", WorkerState.WAITING, 1))
        await its.workers.stop("router-1")
        assert its.workers.histories()["router-1"].state is WorkerState.STOPPED


async def test_a_name_runs_once_and_keeps_its_history(tmp_path: Path) -> None:
    async with watched(tmp_path) as its:
        await its.workers.start("router-1", its.command(SLEEPS))
        with pytest.raises(ValueError, match="router-1 is already running"):
            await its.workers.start("router-1", its.command(SLEEPS))
        await its.workers.kill("router-1")
        await its.until(Event("router-1", WorkerState.RUNNING), times=2)
        await its.workers.stop("router-1")
        before = its.workers.histories()["router-1"].usage.cpu_seconds
        await its.workers.start("router-1", its.command(SLEEPS))
        history = its.workers.histories()["router-1"]
        assert history.restarts == 1
        assert history.usage.cpu_seconds >= before > 0


async def test_command_that_cannot_run_is_an_error(tmp_path: Path) -> None:
    async with watched(tmp_path) as its:
        with pytest.raises(FileNotFoundError):
            await its.workers.start("router-1", Command([tmp_path / "absent"], tmp_path / "log"))


async def test_scale_adds_and_removes_of_its_prefix_only(tmp_path: Path) -> None:
    async with watched(tmp_path) as its:

        def running() -> list[str]:
            histories = its.workers.histories()
            return sorted(name for name, history in histories.items() if history.state is WorkerState.RUNNING)

        await its.workers.start("verifier-1", its.command(SLEEPS))
        await its.workers.scale("generator", 3, lambda name: its.command(SLEEPS))
        assert running() == ["generator-1", "generator-2", "generator-3", "verifier-1"]
        await its.workers.scale("generator", 1, lambda name: its.command(SLEEPS))
        assert running() == ["generator-1", "verifier-1"]
        await its.workers.scale("generator", 2, lambda name: its.command(SLEEPS))
        assert running() == ["generator-1", "generator-2", "verifier-1"]


async def test_all_get_sigterm_before_any_is_killed(tmp_path: Path) -> None:
    its = Watched(tmp_path, stop_within=0.3)
    async with its.workers:
        deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); open({!r}, 'w').close(); time.sleep(600)"
        for name in ("a-1", "b-1"):
            await its.workers.start(name, its.command(deaf.format(str(tmp_path / name))))
            async with asyncio.timeout(10):
                while not (tmp_path / name).exists():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
    assert [event.state for event in its.seen[2:]] == [WorkerState.STOPPING] * 2 + [WorkerState.STOPPED] * 2
    assert {event.exit_code for event in its.seen[4:]} == {-signal.SIGKILL}


def test_backoff_doubles_to_its_limit_and_resets_after_a_long_uptime() -> None:
    backoff = Backoff()
    delays = [delay := backoff.first]
    while delay < backoff.longest:
        delays.append(delay := backoff.after(delay, uptime=1))
    assert delays == [0.5, 1, 2, 4, 8, 10]
    assert backoff.after(None, uptime=1) == 0.5
    assert backoff.after(10, uptime=30) == 0.5
