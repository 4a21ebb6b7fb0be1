"""One life of a child process: it dies with its parent, and its resource usage is measured."""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_EVERY = 1.0
"""Seconds between samples of a child's peak memory, which /proc drops when the child exits."""

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Usage:
    """Resource usage of a child: peak resident memory in bytes, CPU time (user and system) in seconds."""

    peak_rss: int = 0
    cpu_seconds: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        """The usage of two lives: the larger peak, and the sum of CPU time."""
        return Usage(max(self.peak_rss, other.peak_rss), self.cpu_seconds + other.cpu_seconds)


class Child:
    """One life of a child. A thread awaits its end in wait4, the only call that returns the usage of a single child
    (asyncio's subprocesses discard it)."""

    def __init__(self, argv: Sequence[str], log: Path, env: Mapping[str, str] | None, cwd: Path | None) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        parent = os.getpid()
        with log.open("ab") as output:
            self._popen = subprocess.Popen(  # noqa: S603 - the commands come from this package
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,
                preexec_fn=lambda: _die_with(parent),
            )
        self.pid = self._popen.pid
        self.returncode: int | None = None
        self._usage = Usage()
        self._reaping = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        threading.Thread(target=self._reap, name=f"wait-{self.pid}", daemon=True).start()
        self._sampler = self._loop.create_task(self._sample())

    async def wait(self) -> int:
        """Wait for the end. Returns the exit code, negative for a signal."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the child has ended: its pid may belong to another process by then."""
        with self._reaping:
            if self.returncode is None:
                self._look()
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, number)

    def usage(self) -> Usage:
        """The usage so far; of the whole life once the child has ended."""
        with self._reaping:
            if self.returncode is None:
                self._look()
        return self._usage

    async def _sample(self) -> None:
        while not self._ended.is_set():
            self.usage()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), SAMPLE_EVERY)

    def _look(self) -> None:
        self._usage = Usage(_peak_rss(self.pid) or self._usage.peak_rss, _cpu_seconds(self.pid))

    def _reap(self) -> None:
        # WNOWAIT first: the pid is not reused before the lock is held, so `send` cannot signal another process.
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with self._reaping:
            _, status, spent = os.wait4(self.pid, 0)
            self.returncode = self._popen.returncode = os.waitstatus_to_exitcode(status)
            # ru_maxrss includes the copy of the parent before exec: use it only without a sample.
            peak = self._usage.peak_rss or spent.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            self._usage = Usage(peak, spent.ru_utime + spent.ru_stime)
        with contextlib.suppress(RuntimeError):  # the loop is closed: there is no waiter left
            self._loop.call_soon_threadsafe(self._ended.set)


# Loaded before any fork: between fork and exec nothing may be imported or allocated that a lock guards.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _die_with(parent: int) -> None:
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # the parent died before prctl
        os._exit(1)


def _peak_rss(pid: int) -> int:
    """Bytes; 0 where /proc doesn't say (macOS, or a child that has just exited)."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _cpu_seconds(pid: int) -> float:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    user, system = int(after_name[11]), int(after_name[12])
    return (user + system) / os.sysconf("SC_CLK_TCK")
