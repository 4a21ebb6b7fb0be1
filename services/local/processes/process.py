"""A child process whose whole life is ours: started, awaited until it answers, stopped, measured, no orphan.

    async with Process("valkey", argv, log=folder / "valkey.log", ready=answers) as valkey:
        ...

Promises:
- A child starts in a session of its own: a Ctrl-C in the terminal reaches only the parent, which stops its
  children in the order it wants.
- On Linux the kernel kills a child when the thread that started it ends, even by kill -9 (PR_SET_PDEATHSIG).
  So start children on the main thread's event loop. macOS has no such thing: only an orderly end is safe there.
- Leaving `async with`, by return, error or cancellation, leaves no process behind.
"""

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from services.local.processes.child import Child, Usage

READY_WITHIN = 60.0
"""Seconds a child may take until it answers: Kafka, the slowest, needs 4 to 10 on two shared cores."""
STOP_WITHIN = 30.0
"""Seconds between SIGTERM and SIGKILL."""
TAIL_LINES = 20
"""Lines of a child's log that an error quotes."""

Ready = Callable[[], Awaitable[object]]
"""Returns when the child answers; raising, or not returning in time, is a failed start."""


class ProcessError(Exception):
    """A child that exited, or didn't answer, while it was starting. Quotes the end of its log."""


class Process:
    """One child process. May be started again after it has ended."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str | os.PathLike[str]],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        ready: Ready | None = None,
        ready_within: float = READY_WITHIN,
        stop_within: float = STOP_WITHIN,
    ) -> None:
        """`log` gets stdout and stderr, appended. `env` is the whole environment; None is the parent's."""
        self.name = name
        self.argv = [os.fspath(part) for part in argv]
        self.log = log
        self.env = env
        self.cwd = cwd
        self.stop_within = stop_within
        self._ready = ready
        self._ready_within = ready_within
        self._child: Child | None = None
        self._earlier = Usage()

    @property
    def pid(self) -> int | None:
        """The process id while it runs, else None."""
        return self._child.pid if self._child and self.running else None

    @property
    def running(self) -> bool:
        """Started and not yet ended (a paused process runs)."""
        return self._child is not None and self._child.returncode is None

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None before the end."""
        return self._child.returncode if self._child else None

    @property
    def usage(self) -> Usage:
        """Over all lives so far."""
        return self._earlier + self._child.usage() if self._child else self._earlier

    async def start(self) -> None:
        """Starts the child and returns when it is ready.

        Raises ProcessError when it exits or doesn't answer in time; it is killed then, and on cancellation.
        """
        if self.running:
            raise ProcessError(f"{self.name} runs already, as process {self.pid}")
        self._earlier, self._child = self.usage, None
        self._child = Child(self.argv, self.log, self.env, self.cwd)
        if self._ready is None:
            return
        try:
            await self._until_ready(self._child, self._ready)
        except BaseException:
            await self.kill()
            raise

    async def wait(self) -> int:
        """Returns the exit code when the child has ended."""
        if self._child is None:
            raise ProcessError(f"{self.name} was never started")
        return await self._child.wait()

    async def succeed(self) -> None:
        """Returns when the child, one that does its work and ends, has exited with 0; else ProcessError."""
        if code := await self.wait():
            raise self._failed(f"exited with {code}")

    async def terminate(self, deadline: float | None = None) -> int | None:
        """SIGTERM, and SIGKILL after `deadline` seconds, or at once if the caller is cancelled.

        Returns the exit code; None when it was never started.
        """
        if self._child is None:
            return None
        self._child.send(signal.SIGTERM)
        self._child.send(signal.SIGCONT)  # a paused process only takes SIGTERM once it resumes
        try:
            async with asyncio.timeout(self.stop_within if deadline is None else deadline):
                return await self._child.wait()
        except TimeoutError:
            return await self.kill()
        except asyncio.CancelledError:
            self._child.send(signal.SIGKILL)
            raise

    async def kill(self) -> int | None:
        """SIGKILL, and the end of the process awaited."""
        if self._child is None:
            return None
        self._child.send(signal.SIGKILL)
        return await self._child.wait()

    def pause(self) -> None:
        """SIGSTOP: the process stands still, its connections stay open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after `pause`."""
        self._signal(signal.SIGCONT)

    def log_tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines of the log, of this and earlier lives."""
        try:
            with self.log.open(errors="replace") as file:
                return "".join(deque(file, maxlen=lines)).rstrip()
        except FileNotFoundError:
            return "(no log)"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.terminate()

    def _signal(self, number: signal.Signals) -> None:
        if self._child is None or not self.running:
            raise ProcessError(f"{self.name} does not run")
        self._child.send(number)

    async def _until_ready(self, child: "Child", ready: Ready) -> None:
        answer = asyncio.ensure_future(ready())
        end = asyncio.ensure_future(child.wait())
        try:
            await asyncio.wait((answer, end), timeout=self._ready_within, return_when=asyncio.FIRST_COMPLETED)
            if end.done():
                raise self._failed(f"exited with {end.result()} while it was starting")
            if not answer.done():
                raise self._failed(f"did not answer within {self._ready_within:g} s")
            if error := answer.exception():
                raise self._failed(f"could not be asked whether it is ready ({error})") from error
        finally:
            await _cancelled(answer, end)

    def _failed(self, how: str) -> ProcessError:
        return ProcessError(f"{self.name} {how}; the end of {self.log}:\n{self.log_tail()}")


async def until(answers: Callable[[], Awaitable[bool]], *, every: float) -> None:
    """Returns when `answers` says so, asked again after `every` seconds: another process has no event to await."""
    while not await answers():  # noqa: ASYNC110
        await asyncio.sleep(every)


async def together(*doings: Coroutine[object, object, object]) -> None:
    """Returns when all are done. The first error cancels the others, awaits their end, and is raised itself."""
    try:
        async with asyncio.TaskGroup() as group:
            for doing in doings:
                group.create_task(doing)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


@contextlib.asynccontextmanager
async def sigterm_cancels() -> AsyncIterator[None]:
    """Inside, SIGTERM and SIGHUP (a closed terminal) cancel the task that entered, as asyncio.run does for Ctrl-C.

    Every `async with` around a process then ends in order. By default the signals would kill the children with no time
    to drain.
    """
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)


async def _cancelled(*tasks: "asyncio.Future[object] | asyncio.Future[int]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
