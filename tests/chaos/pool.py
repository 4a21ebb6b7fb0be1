"""The scripted model servers behind one name: the first is always there, others come and go."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from services.local.processes.process import Process, until

PROJECT = Path(__file__).parents[2]
NAMES = PROJECT / "tests" / "names"
"""On a worker's PYTHONPATH, it resolves the name from the file POOL_NAMES."""


class ModelPool:
    """Servers at 127.0.0.1, .2, ... with one port, one script and one log."""

    def __init__(self, folder: Path, port: int, options: Sequence[str]) -> None:
        self.port = port
        self._names = folder / "names"
        self._log = folder / "logs" / "llm.log"
        self._options = [*options, "--port", str(port)]
        self._servers: dict[int, Process] = {}
        self.name(1)

    @property
    def url(self) -> str:
        """The pool's base URL."""
        return f"http://models.pool.test:{self.port}/v1"

    @property
    def env(self) -> dict[str, str]:
        """What a process needs to resolve the name."""
        return {"POOL_NAMES": str(self._names), "PYTHONPATH": os.pathsep.join([str(PROJECT), str(NAMES)])}

    def server(self, number: int) -> Process:
        """A server; it may not be running."""
        if number not in self._servers:
            host = f"127.0.0.{number}"
            argv = [sys.executable, "-m", "services.llm.scripted", "--host", host, *self._options]
            self._servers[number] = Process(
                f"llm-{number}", argv, log=self._log, cwd=PROJECT, ready=lambda: _listens(host, self.port)
            )
        return self._servers[number]

    def name(self, *numbers: int) -> None:
        """Let the name have these servers' addresses."""
        changed = self._names.with_suffix(".new")
        changed.write_text(" ".join(f"127.0.0.{number}" for number in numbers))
        changed.rename(self._names)

    async def aclose(self) -> None:
        """Stop all servers."""
        for server in self._servers.values():
            await server.terminate()


async def _listens(host: str, port: int) -> None:
    async def answers() -> bool:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            return False
        writer.close()
        return True

    await until(answers, every=0.1)
