"""Run the examples of the docs: every `sh` and `python` block of a page, in order, in one folder.

A comment on the line before a block changes how it runs:

    <!-- not run: WHY -->   it is not run
    <!-- background -->     it runs until Ctrl-C; the next block starts once the stack is up
    <!-- until -->          it is repeated until its output matches
    <!-- exit N -->         its exit code is N

A following `text` block is the expected output: each of its lines must occur in the output; `…` matches anything.
A `yaml` block is not run.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*?) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$(?:\n+```text\n(?P<text>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
GATEWAY = "localhost:8080"
"""The gateway's address in the docs. `up` may use another port."""
READY_S = 120
UNTIL_S = 90
BLOCK_S = 60


@dataclass(frozen=True)
class Example:
    """One block."""

    place: str
    language: str
    code: str
    mark: str
    expected: str

    @property
    def not_run(self) -> str | None:
        """The reason why the block is not run; None: it is run."""
        return self.mark.removeprefix("not run: ") if self.mark.startswith("not run: ") else None

    @property
    def code_expected(self) -> int:
        return int(self.mark.removeprefix("exit ")) if self.mark.startswith("exit ") else 0

    def missing(self, output: str) -> list[str]:
        """The expected lines that are missing in the output."""
        shown = " ".join(output.split())
        return [line for line in self.expected.splitlines() if not re.search(_pattern(line), shown)]


def _pattern(line: str) -> str:
    return ".*?".join(re.escape(" ".join(piece.split())) for piece in line.split("…"))


def examples(page: Path) -> Iterator[Example]:
    """The code blocks of a page."""
    text = page.read_text()
    for found in BLOCK.finditer(text):
        if found["language"] in ("text", "yaml"):  # yaml is a file of a tool that is not installed here
            continue
        line = text.count("\n", 0, found.start("code"))
        yield Example(f"{page.name}:{line}", found["language"], found["code"], found["mark"] or "", found["text"] or "")


@dataclass
class Reader:
    """A reader with one terminal, and a second one that runs the stack."""

    folder: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def follow(self, example: Example) -> str | None:
        """Run the block; returns its problem, if any. Raises AssertionError if the stack does not start."""
        if example.not_run is not None:
            return None
        if example.mark == "background":
            self._start(example)
            return None
        end = time.monotonic() + (UNTIL_S if example.mark == "until" else 0)
        while (wrong := self._run(example)) is not None and time.monotonic() < end:
            time.sleep(0.5)
        return wrong

    def _run(self, example: Example) -> str | None:
        done = subprocess.run(
            self._command(example), cwd=self.folder, env=self._env(), capture_output=True, text=True, timeout=BLOCK_S
        )
        output = done.stdout + done.stderr
        if done.returncode == example.code_expected and not (missing := example.missing(output)):
            return None
        problem = f"exit {done.returncode}" if done.returncode != example.code_expected else f"without {missing}"
        return f"{example.place}: {problem}\n{example.code}--\n{output}"

    def _start(self, example: Example) -> None:
        log_file = self.folder / "up.log"
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                self._command(example), cwd=self.folder, env=self._env(), stdout=log, stderr=log, start_new_session=True
            )
        self.running.append(process)
        end = time.monotonic() + READY_S
        while not self._stack().exists():
            assert process.poll() is None, log_file.read_text()
            assert time.monotonic() < end, log_file.read_text()
            time.sleep(0.2)

    def leave(self) -> list[int]:
        """Press Ctrl-C in the second terminal; returns its exit codes."""
        for process in self.running:
            os.killpg(process.pid, signal.SIGINT)
        return [process.wait(60) for process in self.running]

    def kill(self) -> None:
        """Kill processes that are still running after a failure."""
        for process in self.running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _command(self, example: Example) -> list[str]:
        code = example.code
        if self._stack().exists():
            code = code.replace(GATEWAY, json.loads(self._stack().read_text())["gateway"].removeprefix("http://"))
        shell = ["bash", "-euo", "pipefail", "-c"]
        return [*([sys.executable, "-c"] if example.language == "python" else shell), code]

    def _stack(self) -> Path:
        return self.folder / "build/up/stack.json"

    def _env(self) -> dict[str, str]:
        here = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "200",
            "REASONMED_EXPORT__AGE_S": "1",  # readers wait a minute
            "HF_HOME": str(self.folder / "hf"),
            "HF_HUB_OFFLINE": "1",
        }
        return {**{name: value for name, value in os.environ.items() if not name.startswith("REASONMED_")}, **here}
