"""One life of a child process: forked so that it can't outlive us, reaped so that what it used is known."""

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
"""Seconds between two looks at a child's peak memory, which /proc forgets as soon as the child exits."""

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Usage:
    """What a child has used: peak resident memory in bytes, processor time (user and system) in seconds."""

    peak_rss: int = 0
    cpu_seconds: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        """Two lives of one name: the larger peak, the sum of the processor time."""
        return Usage(max(self.peak_rss, other.peak_rss), self.cpu_seconds + other.cpu_seconds)


class Child:
    """One life. Its end is awaited by a thread in wait4, the only call that tells what just this child used
    (asyncio's own subprocesses throw that away)."""

    def __init__(self, argv: Sequence[str], log: Path, env: Mapping[str, str] | None, cwd: Path | None) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        parent = os.getpid()
        with log.open("ab") as output:
            self._popen = subprocess.Popen(  # noqa: S603 - the commands are ours
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
        """Returns the exit code, negative for a signal, when the child has ended."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send(self, number: signal.Signals) -> None:
        """Nothing is sent to an ended child, whose pid may be another's by now."""
        with self._reaping:
            if self.returncode is None:
                self._look()
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, number)

    def usage(self) -> Usage:
        """So far; of the whole life once it has ended."""
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
        # WNOWAIT first: the pid stays ours until the lock is held, so that `send` can't hit a stranger.
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with self._reaping:
            _, status, spent = os.wait4(self.pid, 0)
            self.returncode = self._popen.returncode = os.waitstatus_to_exitcode(status)
            # ru_maxrss counts the copy of the parent before exec as well: second best to what was seen alive.
            peak = self._usage.peak_rss or spent.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            self._usage = Usage(peak, spent.ru_utime + spent.ru_stime)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._ended.set)


# Loaded before any fork: between fork and exec nothing may be imported or allocated that a lock guards.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _die_with(parent: int) -> None:
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before prctl took hold
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
