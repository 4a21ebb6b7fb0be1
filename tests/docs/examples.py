"""The examples of the docs, run as a reader would: every `sh` and `python` block of a page, in order, in one folder.

A comment on the line before a block says what is special about it:

    <!-- not run: WHY -->   it can't be run here
    <!-- background -->     it goes on until Ctrl-C; the next begins once the stack is up
    <!-- until -->          it is run again until it shows what it should
    <!-- exit N -->         it ends with this exit code

A `text` block that follows shows the gist: each of its lines is somewhere in the output, with anything for each `…`.
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
    r"(?:^<!-- (?P<mark>[^\n]*?) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$(?:\n+```text\n(?P<gist>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
GATEWAY = "localhost:8080"
"""As the docs write it: where it is taken, `up` has the gateway on another port."""
READY_S = 300
UNTIL_S = 180
BLOCK_S = 180


@dataclass(frozen=True)
class Example:
    """One block."""

    place: str
    language: str
    code: str
    mark: str
    gist: str

    @property
    def not_run(self) -> str | None:
        """Why it isn't."""
        return self.mark.removeprefix("not run: ") if self.mark.startswith("not run: ") else None

    @property
    def code_expected(self) -> int:
        return int(self.mark.removeprefix("exit ")) if self.mark.startswith("exit ") else 0

    def missing(self, output: str) -> list[str]:
        """The lines of the gist that the output has not."""
        shown = " ".join(output.split())
        return [line for line in self.gist.splitlines() if not re.search(_pattern(line), shown)]


def _pattern(line: str) -> str:
    return ".*?".join(re.escape(" ".join(piece.split())) for piece in line.split("…"))


def examples(page: Path) -> Iterator[Example]:
    """A page's blocks that are code."""
    text = page.read_text()
    for found in BLOCK.finditer(text):
        if found["language"] == "text":
            continue
        line = text.count("\n", 0, found.start("code"))
        yield Example(f"{page.name}:{line}", found["language"], found["code"], found["mark"] or "", found["gist"] or "")


@dataclass
class Reader:
    """Somebody with a terminal, and another one in which the stack runs."""

    folder: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def follow(self, example: Example) -> str | None:
        """Run it; returns what was wrong, if anything was. Raises AssertionError where the stack doesn't start."""
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
        said = f"exit {done.returncode}" if done.returncode != example.code_expected else f"without {missing}"
        return f"{example.place}: {said}\n{example.code}--\n{output}"

    def _start(self, example: Example) -> None:
        said = self.folder / "up.log"
        with said.open("wb") as log:
            process = subprocess.Popen(
                self._command(example), cwd=self.folder, env=self._env(), stdout=log, stderr=log, start_new_session=True
            )
        self.running.append(process)
        end = time.monotonic() + READY_S
        while not self._stack().exists():
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < end, said.read_text()
            time.sleep(0.2)

    def leave(self) -> list[int]:
        """Ctrl-C in the other terminal; the exit codes there."""
        for process in self.running:
            os.killpg(process.pid, signal.SIGINT)
        return [process.wait(180) for process in self.running]

    def kill(self) -> None:
        """Where something went wrong: what still runs ends now."""
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
            "REASONMED_EXPORT__AGE_S": "1",  # a reader waits a minute
            "HF_HOME": str(self.folder / "hf"),
            "HF_HUB_OFFLINE": "1",
        }
        return {**{name: value for name, value in os.environ.items() if not name.startswith("REASONMED_")}, **here}
