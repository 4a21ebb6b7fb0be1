"""Keeps named worker processes running: what exits is started again, unless it was asked to stop.

It knows commands, never Kafka. Readiness is the worker's own (/readyz); here a worker only runs.
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
    """Where a worker stands. `waiting`: it has exited and is started again when its back-off is over."""

    RUNNING = "running"
    WAITING = "waiting"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Command:
    """What to run: arguments, the whole environment (None: the supervisor's), the log that is appended to."""

    argv: Sequence[str | os.PathLike[str]]
    log: Path
    env: Mapping[str, str] | None = None
    cwd: Path | None = None


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds before a restart: doubled at each, from `first` to `longest`, reset after `reset_after` seconds up."""

    first: float = 0.5
    longest: float = 10.0
    reset_after: float = 30.0

    def after(self, delay: float | None, uptime: float) -> float:
        """The next delay, given the last one (None: there was none) and how long the worker was up."""
        if delay is None or uptime >= self.reset_after:
            return self.first
        return min(2 * delay, self.longest)


@dataclass(frozen=True, slots=True)
class Event:
    """One change of a worker's state; `exit_code` where it has just exited, else None."""

    name: str
    state: WorkerState
    exit_code: int | None = None


@dataclass(slots=True)
class Account:
    """What is known of one name over all its lives. `exit_codes`: of each exit that led to a restart."""

    state: WorkerState = WorkerState.STOPPED
    pid: int | None = None
    exit_codes: list[int] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)

    @property
    def restarts(self) -> int:
        """Exits that nobody asked for."""
        return len(self.exit_codes)


class Supervisor:
    """`async with Supervisor() as workers`: its end stops all workers at once and leaves none behind."""

    def __init__(
        self,
        *,
        backoff: Backoff | None = None,
        stop_within: float = STOP_WITHIN,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> None:
        """`on_event` is called on the event loop at each change of state; it must not block or raise."""
        self._backoff = backoff or Backoff()
        self._stop_within = stop_within
        self._on_event = on_event
        self._workers: dict[str, _Worker] = {}

    async def start(self, name: str, command: Command) -> None:
        """Starts a worker and keeps it running from now on.

        Raises ValueError when the name is running already, OSError when the command can't be run at all.
        """
        worker = self._workers.get(name)
        if worker and worker.is_kept:
            raise ValueError(f"a worker named {name} runs already")
        account = worker.account if worker else Account()
        self._workers[name] = _Worker(name, command, account, self._backoff, self._on_event)
        await self._workers[name].start()

    async def stop(self, name: str, deadline: float | None = None) -> None:
        """SIGTERM, SIGKILL after `deadline` seconds (default: `stop_within`); it isn't started again."""
        await self._workers[name].stop(self._stop_within if deadline is None else deadline)

    async def kill(self, name: str) -> None:
        """kill -9, as a test of what follows: the worker is started again."""
        await self._workers[name].process.kill()

    async def scale(self, prefix: str, count: int, command: Callable[[str], Command]) -> None:
        """Makes it so that the workers prefix-1 to prefix-count run, and no others of the prefix."""
        wanted = [f"{prefix}-{number}" for number in range(1, count + 1)]
        kept = {name for name, worker in self._workers.items() if worker.is_kept}
        surplus = [name for name in kept - set(wanted) if name.rpartition("-")[0] == prefix]
        for name in wanted:
            if name not in kept:
                await self.start(name, command(name))
        await asyncio.gather(*(self.stop(name) for name in surplus))

    async def stop_all(self, deadline: float | None = None) -> None:
        """SIGTERM to all at once, SIGKILL to what is left after `deadline` seconds; returns when none runs."""
        await asyncio.gather(*(self.stop(name, deadline) for name in self._workers))

    def process(self, name: str) -> Process:
        """The worker's process, to pause it or read its log."""
        return self._workers[name].process

    def accounts(self) -> Mapping[str, Account]:
        """By name, stopped workers too; usage is up to date."""
        return {name: worker.current_account() for name, worker in self._workers.items()}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_all()


class _Worker:
    """One name: its process, and the task that starts it again."""

    def __init__(
        self, name: str, command: Command, account: Account, backoff: Backoff, on_event: Callable[[Event], None]
    ) -> None:
        self.process = Process(name, command.argv, log=command.log, env=command.env, cwd=command.cwd)
        self.account = account
        self._earlier = account.usage
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

    def current_account(self) -> Account:
        self.account.usage = self._earlier + self.process.usage
        return self.account

    async def _keep(self) -> None:
        clock = asyncio.get_running_loop().time
        delay = None
        while True:
            began = clock()
            code = await self.process.wait()
            delay = self._backoff.after(delay, clock() - began)
            self.account.exit_codes.append(code)
            self._changed(WorkerState.WAITING, code)
            await self._restart(delay)
            self._changed(WorkerState.RUNNING)

    async def _restart(self, delay: float) -> None:
        while True:
            await asyncio.sleep(delay)
            try:
                return await self.process.start()
            except OSError:  # no memory for a fork, or the program is being replaced
                delay = self._backoff.longest

    def _changed(self, state: WorkerState, exit_code: int | None = None) -> None:
        self.account.state = state
        self.account.pid = self.process.pid
        self._on_event(Event(self.process.name, state, exit_code))
