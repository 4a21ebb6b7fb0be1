"""A managed child process: started, awaited until ready, stopped and measured; never orphaned.

    async with Process("valkey", argv, log=folder / "valkey.log", ready=answers) as valkey:
        ...

Promises:
- A child has its own session: a Ctrl-C in the terminal reaches only the parent, which stops its children in order.
- On Linux the kernel kills a child when the thread that started it ends, even by kill -9 (PR_SET_PDEATHSIG).
  So start children on the main thread's event loop. macOS has no equivalent: kill -9 of the parent leaves children.
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
"""Seconds until a child must be ready: Kafka, the slowest, needs 4 to 10 on two shared cores."""
STOP_WITHIN = 30.0
"""Seconds between SIGTERM and SIGKILL."""
TAIL_LINES = 20
"""Lines of a child's log that errors quote."""

Ready = Callable[[], Awaitable[object]]
"""Returns when the child is ready. The start fails if it raises, or does not return in time."""


class ProcessError(Exception):
    """A child exited or did not become ready. The text quotes the end of its log."""


class Process:
    """One child process. It can be restarted after it has ended."""

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
        """`log`: stdout and stderr are appended to it. `env`: the whole environment; None: the parent's."""
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
        """The process id while it is running, else None."""
        return self._child.pid if self._child and self.running else None

    @property
    def running(self) -> bool:
        """Whether it is started and has not ended; also true while paused."""
        return self._child is not None and self._child.returncode is None

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None before the end."""
        return self._child.returncode if self._child else None

    @property
    def usage(self) -> Usage:
        """The resource usage over all lives so far."""
        return self._earlier + self._child.usage() if self._child else self._earlier

    async def start(self) -> None:
        """Start the child, and return when it is ready.

        Raises ProcessError if it exits or is not ready in time. It is then killed, as on cancellation.
        """
        if self.running:
            raise ProcessError(f"{self.name} is already running, as process {self.pid}")
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
        """Wait for the end. Returns the exit code."""
        if self._child is None:
            raise ProcessError(f"{self.name} was never started")
        return await self._child.wait()

    async def succeed(self) -> None:
        """Wait until the child, a batch job, has exited with 0. Raises ProcessError for another exit code."""
        if code := await self.wait():
            raise self._failed(f"exited with {code}")

    async def terminate(self, deadline: float | None = None) -> int | None:
        """Send SIGTERM, then SIGKILL after `deadline` seconds, or at once if the caller is cancelled.

        Returns the exit code; None if it was never started.
        """
        if self._child is None:
            return None
        self._child.send(signal.SIGTERM)
        self._child.send(signal.SIGCONT)  # a paused process handles SIGTERM only once it resumes
        try:
            async with asyncio.timeout(self.stop_within if deadline is None else deadline):
                return await self._child.wait()
        except TimeoutError:
            return await self.kill()
        except asyncio.CancelledError:
            self._child.send(signal.SIGKILL)
            raise

    async def kill(self) -> int | None:
        """Send SIGKILL, and wait for the end."""
        if self._child is None:
            return None
        self._child.send(signal.SIGKILL)
        return await self._child.wait()

    def pause(self) -> None:
        """Send SIGSTOP: the process is suspended, its connections stay open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Send SIGCONT after `pause`."""
        self._signal(signal.SIGCONT)

    def log_tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines of the log, which includes earlier lives."""
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
            raise ProcessError(f"{self.name} is not running")
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
                raise self._failed(f"its readiness check failed ({error})") from error
        finally:
            await _cancelled(answer, end)

    def _failed(self, how: str) -> ProcessError:
        return ProcessError(f"{self.name} {how}; the end of {self.log}:\n{self.log_tail()}")


async def until(answers: Callable[[], Awaitable[bool]], *, every: float) -> None:
    """Poll `answers` every `every` seconds until it returns true: another process has no event to await."""
    while not await answers():  # noqa: ASYNC110
        await asyncio.sleep(every)


async def together(*actions: Coroutine[object, object, object]) -> None:
    """Run all, and return when all are done. The first error cancels the others, and is raised once they have ended."""
    try:
        async with asyncio.TaskGroup() as group:
            for action in actions:
                group.create_task(action)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


@contextlib.asynccontextmanager
async def sigterm_cancels() -> AsyncIterator[None]:
    """Inside, SIGTERM and SIGHUP (a closed terminal) cancel the current task, as asyncio.run does for Ctrl-C.

    Every `async with` around a process then exits in order. By default the signals would kill the parent, and with it
    the children before they drain.
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
