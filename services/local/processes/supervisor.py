"""Supervises named worker processes: restarts a process that exits, unless it was stopped.

It knows commands only, not Kafka, and does not check readiness (the workers' /readyz).
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from services.local.processes.child import Usage
from services.local.processes.process import STOP_WITHIN, Process


class WorkerState(StrEnum):
    """The state of a worker. `waiting`: it has exited, and is restarted after its back-off."""

    RUNNING = "running"
    WAITING = "waiting"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Command:
    """A command: arguments, the whole environment (None: the supervisor's), and the log to append to."""

    argv: Sequence[str | os.PathLike[str]]
    log: Path
    env: Mapping[str, str] | None = None
    cwd: Path | None = None


@dataclass(frozen=True, slots=True)
class Backoff:
    """Back-off before a restart in seconds: doubles from `first` to `longest`; resets after `reset_after` of uptime."""

    first: float = 0.5
    longest: float = 10.0
    reset_after: float = 30.0

    def after(self, delay: float | None, uptime: float) -> float:
        """The next delay, given the last one (None: there was none) and the worker's uptime in seconds."""
        if delay is None or uptime >= self.reset_after:
            return self.first
        return min(2 * delay, self.longest)


@dataclass(frozen=True, slots=True)
class Event:
    """A change of a worker's state; `exit_code` is None unless it has just exited."""

    name: str
    state: WorkerState
    exit_code: int | None = None


@dataclass(slots=True)
class WorkerHistory:
    """The history of a worker over all its lives. `exit_codes`: of each exit that led to a restart."""

    state: WorkerState = WorkerState.STOPPED
    pid: int | None = None
    exit_codes: list[int] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)

    @property
    def restarts(self) -> int:
        """The number of unexpected exits."""
        return len(self.exit_codes)


class Supervisor:
    """`async with Supervisor() as workers`: the exit stops all workers concurrently, and leaves none running."""

    def __init__(
        self,
        *,
        backoff: Backoff | None = None,
        stop_within: float = STOP_WITHIN,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> None:
        """`on_event` is called on the event loop for each change of state. It must not block or raise."""
        self._backoff = backoff or Backoff()
        self._stop_within = stop_within
        self._on_event = on_event
        self._workers: dict[str, _Worker] = {}

    async def start(self, name: str, command: Command) -> None:
        """Start a worker, and keep it running.

        Raises ValueError if the name is already running, OSError if the command cannot be run.
        """
        worker = self._workers.get(name)
        if worker and worker.is_kept:
            raise ValueError(f"a worker named {name} is already running")
        history = worker.history if worker else WorkerHistory()
        self._workers[name] = _Worker(name, command, history, self._backoff, self._on_event)
        await self._workers[name].start()

    async def stop(self, name: str, deadline: float | None = None) -> None:
        """Stop a worker: SIGTERM, then SIGKILL after `deadline` seconds (default: `stop_within`)."""
        await self._workers[name].stop(self._stop_within if deadline is None else deadline)

    async def kill(self, name: str) -> None:
        """Send SIGKILL, for tests: the worker is restarted."""
        await self._workers[name].process.kill()

    async def scale(self, prefix: str, count: int, command: Callable[[str], Command]) -> None:
        """Start and stop workers so that exactly prefix-1 to prefix-count are running."""
        wanted = [f"{prefix}-{number}" for number in range(1, count + 1)]
        kept = {name for name, worker in self._workers.items() if worker.is_kept}
        surplus = [name for name in kept - set(wanted) if name.rpartition("-")[0] == prefix]
        for name in wanted:
            if name not in kept:
                await self.start(name, command(name))
        await asyncio.gather(*(self.stop(name) for name in surplus))

    async def stop_all(self, deadline: float | None = None) -> None:
        """Stop all workers: SIGTERM, then SIGKILL after `deadline` seconds. Returns when none is running."""
        await asyncio.gather(*(self.stop(name, deadline) for name in self._workers))

    def process(self, name: str) -> Process:
        """The process of a worker, for pausing it or reading its log."""
        return self._workers[name].process

    def histories(self) -> Mapping[str, WorkerHistory]:
        """Histories by name, also of stopped workers, with current usage."""
        return {name: worker.current_history() for name, worker in self._workers.items()}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_all()


class _Worker:
    """One worker: its process, and the task that restarts it."""

    def __init__(
        self, name: str, command: Command, history: WorkerHistory, backoff: Backoff, on_event: Callable[[Event], None]
    ) -> None:
        self.process = Process(name, command.argv, log=command.log, env=command.env, cwd=command.cwd)
        self.history = history
        self._earlier = history.usage
        self._backoff = backoff
        self._on_event = on_event
        self._keeper: asyncio.Task[None] | None = None

    @property
    def is_kept(self) -> bool:
        return self._keeper is not None

    async def start(self) -> None:
        await self.process.start()
        self._changed(WorkerState.RUNNING)
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.process.name}")

    async def stop(self, deadline: float) -> None:
        if self._keeper is None:
            return
        keeper, self._keeper = self._keeper, None
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        self._changed(WorkerState.STOPPING)
        try:
            await self.process.terminate(deadline)
        finally:
            self._changed(WorkerState.STOPPED, self.process.returncode)

    def current_history(self) -> WorkerHistory:
        self.history.usage = self._earlier + self.process.usage
        return self.history

    async def _keep(self) -> None:
        clock = asyncio.get_running_loop().time
        delay = None
        while True:
            began = clock()
            code = await self.process.wait()
            delay = self._backoff.after(delay, clock() - began)
            self.history.exit_codes.append(code)
            self._changed(WorkerState.WAITING, code)
            await self._restart(delay)
            self._changed(WorkerState.RUNNING)

    async def _restart(self, delay: float) -> None:
        while True:
            await asyncio.sleep(delay)
            try:
                return await self.process.start()
            except OSError:  # no memory to fork, or the executable is being replaced
                delay = self._backoff.longest

    def _changed(self, state: WorkerState, exit_code: int | None = None) -> None:
        self.history.state = state
        self.history.pid = self.process.pid
        self._on_event(Event(self.process.name, state, exit_code))
