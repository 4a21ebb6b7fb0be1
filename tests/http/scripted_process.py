"""The scripted server as a process, and its log."""

import subprocess
import sys
from pathlib import Path

import orjson

ROOT = Path(__file__).parents[2]


class Server:
    """The scripted server as a process, and its log."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.log = folder / "calls.jsonl"
        command = [sys.executable, "-m", "services.llm.scripted", "--port", "0", "--log", str(self.log), *options]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[-1]

    def lines(self, event: str) -> list[dict[str, object]]:
        lines = (orjson.loads(line) for line in self.log.read_bytes().splitlines())
        return [line for line in lines if line.get("event") == event]

    def end(self) -> None:
        self.process.terminate()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process.wait()
