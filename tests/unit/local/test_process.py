"""A child process: started, awaited, stopped, measured, and never left behind."""

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from services.local.processes.process import Process, ProcessError, sigterm_cancels, together, until

PROJECT = Path(__file__).parents[3]
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and pidfd")


def python(
    code: str, tmp_path: Path, ready: Callable[[], Awaitable[object]] | None = None, ready_within: float = 60
) -> Process:
    argv = [sys.executable, "-c", code]
    return Process("child", argv, log=tmp_path / "log" / "child.log", ready=ready, ready_within=ready_within)


def logged(tmp_path: Path, text: str) -> Callable[[], Awaitable[object]]:
    async def is_logged() -> bool:
        return text in (tmp_path / "log" / "child.log").read_text()

    return lambda: until(is_logged, every=0.01)


async def never() -> None:
    await asyncio.Event().wait()


def gone(pid: int, within: float = 10) -> bool:
    """True when the process, not ours, has ended within so many seconds."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], within)[0])
    finally:
        os.close(handle)


async def test_runs_to_its_end(tmp_path: Path) -> None:
    child = python("print('hello'); raise SystemExit(3)", tmp_path)
    await child.start()
    assert await child.wait() == 3
    assert (child.returncode, child.pid, child.running) == (3, None, False)
    assert child.log_tail() == "hello"


async def test_environment_is_exactly_what_is_given(tmp_path: Path) -> None:
    code = "import os; print(sorted(k for k in os.environ if k != 'LC_CTYPE'))"
    child = Process("child", [sys.executable, "-c", code], log=tmp_path / "child.log", env={"ONLY": "this"})
    await child.start()
    await child.succeed()
    assert child.log_tail() == "['ONLY']"


async def test_start_returns_when_it_is_ready(tmp_path: Path) -> None:
    async with python(
        "print('up', flush=True); import time; time.sleep(60)", tmp_path, logged(tmp_path, "up")
    ) as child:
        assert child.running
        pid = child.pid
        assert pid is not None
        assert os.getsid(pid) == pid != os.getsid(0), "Ctrl-C in the terminal must not reach it"
    assert child.returncode == -signal.SIGTERM


async def test_exit_while_starting_quotes_the_log(tmp_path: Path) -> None:
    child = python("print('no port'); raise SystemExit(2)", tmp_path, never)
    with pytest.raises(ProcessError, match=r"child exited with 2 while it was starting(?s:.)*no port"):
        await child.start()


async def test_not_ready_in_time_is_killed(tmp_path: Path) -> None:
    child = python("import time; time.sleep(60)", tmp_path, never, ready_within=0.1)
    with pytest.raises(ProcessError, match=r"did not answer within 0\.1 s"):
        await child.start()
    assert child.returncode == -signal.SIGKILL


async def test_error_of_the_readiness_check_is_kept(tmp_path: Path) -> None:
    async def breaks() -> None:
        raise ValueError("a bug")

    child = python("import time; time.sleep(60)", tmp_path, breaks)
    with pytest.raises(ProcessError, match="a bug") as caught:
        await child.start()
    assert isinstance(caught.value.__cause__, ValueError)
    assert not child.running


async def test_cancelled_start_leaves_nothing(tmp_path: Path) -> None:
    child = python("print('up', flush=True); import time; time.sleep(60)", tmp_path, never)
    starting = asyncio.create_task(child.start())
    await asyncio.sleep(0)
    await logged(tmp_path, "up")()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert child.returncode == -signal.SIGKILL


async def test_deaf_child_is_killed_at_the_deadline(tmp_path: Path) -> None:
    child = python(STUBBORN, tmp_path, logged(tmp_path, "deaf"))
    await child.start()
    assert await child.terminate(0.1) == -signal.SIGKILL


async def test_cancelled_terminate_kills(tmp_path: Path) -> None:
    child = python(STUBBORN, tmp_path, logged(tmp_path, "deaf"))
    await child.start()
    ending = asyncio.create_task(child.terminate(60))
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert await child.wait() == -signal.SIGKILL


async def test_signals_to_an_ended_child_do_nothing(tmp_path: Path) -> None:
    child = python("", tmp_path)
    assert await child.terminate() is None
    await child.start()
    await child.succeed()
    assert await child.kill() == await child.terminate() == 0
    with pytest.raises(ProcessError, match="is not running"):
        child.pause()


@linux_only
async def test_a_paused_child_can_be_stopped(tmp_path: Path) -> None:
    def state(pid: int) -> str:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]

    async with python(
        "print('up', flush=True); import time; time.sleep(60)", tmp_path, logged(tmp_path, "up")
    ) as child:
        assert child.pid is not None
        pid = child.pid

        async def stopped() -> bool:
            return state(pid) == "T"

        child.pause()
        await until(stopped, every=0.01)
        child.resume()
        assert state(pid) != "T"
        child.pause()
    assert child.returncode == -signal.SIGTERM


@linux_only
async def test_usage_is_the_peak_and_sums_over_lives(tmp_path: Path) -> None:
    code = (
        "import time; big = b'x' * 100_000_000; del big\n"
        "while time.process_time() < 0.3: pass\n"
        "print('grown', flush=True); time.sleep(60)"
    )
    child = python(code, tmp_path, logged(tmp_path, "grown"))
    await child.start()
    alive = child.usage
    assert 100e6 < alive.peak_rss < 200e6
    assert 0.2 < alive.cpu_seconds < 5
    await child.kill()
    first = child.usage
    assert first.peak_rss == alive.peak_rss
    assert first.cpu_seconds >= 0.3
    child.log.write_text("")
    async with child:
        pass
    assert child.usage.cpu_seconds >= first.cpu_seconds + 0.3
    assert child.usage.peak_rss < 200e6


async def test_together_raises_the_first_error_and_cancels_the_rest() -> None:
    ended = []

    async def waits() -> None:
        try:
            await never()
        finally:
            ended.append("waits")

    async def fails() -> None:
        raise ProcessError("broken")

    with pytest.raises(ProcessError, match="broken"):
        await together(waits(), fails())
    assert ended == ["waits"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_cancels_in_order(number: signal.Signals) -> None:
    ended = []

    async def main() -> None:
        async with sigterm_cancels():
            try:
                os.kill(os.getpid(), number)
                await never()
            finally:
                ended.append("drained")

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(main())
    assert ended == ["drained"]


PARENT = """
import asyncio, sys
from pathlib import Path
from services.local.processes.process import Process, sigterm_cancels

async def main():
    sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    async with sigterm_cancels(), Process("child", sleep, log=Path(sys.argv[1])) as child:
        print(child.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@linux_only
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_child_dies_with_its_parent(number: signal.Signals, tmp_path: Path) -> None:
    argv = [sys.executable, "-c", PARENT, str(tmp_path / "child.log")]
    with subprocess.Popen(argv, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(child, 0)
        parent.send_signal(number)
        assert gone(child)
