"""`reasonmed up` and the commands beside it, as their users run them: processes on a real Kafka."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from services.datasets.dataset import read_dataset
from services.local.demo import SAMPLES

READY_S = 150
"""Seconds for Kafka and nine services, on cores that other tests share."""
QUESTIONS = 4


class Reasonmed:
    """The command line, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def run(self, *arguments: str, code: int = 0, stdin: bytes | None = None) -> str:
        """What it printed on stdout; `code` is the exit code that is expected."""
        process = await self.start(*arguments)
        out, said = await process.communicate(stdin)
        assert process.returncode == code, f"{arguments}: {process.returncode}\n{out.decode()}\n{said.decode()}"
        return out.decode()

    async def json(self, *arguments: str, code: int = 0, stdin: bytes | None = None) -> Any:
        """What it printed with --json."""
        return json.loads(await self.run(*arguments, "--json", "--folder", str(self.folder), code=code, stdin=stdin))

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """As a child; stdout and stderr are to be read."""
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.cli", *arguments, stdin=pipe, stdout=pipe, stderr=pipe
        )


@pytest.fixture
def reasonmed(tmp_path: Path, gateway_port_taken: None) -> Reasonmed:
    return Reasonmed(tmp_path / "up")


@pytest.fixture
async def running(reasonmed: Reasonmed) -> AsyncIterator[asyncio.subprocess.Process]:
    """`up --scripted`, ready; killed at the end if the test has not ended it."""
    process = await reasonmed.start("up", "--scripted", "--workers", "2", "--folder", str(reasonmed.folder))
    try:
        await _until(lambda: (reasonmed.folder / "stack.json").exists(), process)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_questions_go_in_and_records_come_out_and_sigterm_drains(
    reasonmed: Reasonmed, running: asyncio.subprocess.Process
) -> None:
    rows = SAMPLES.read_bytes().splitlines()[:QUESTIONS]
    file = reasonmed.folder / "questions.jsonl"
    file.write_bytes(b"\n".join([*rows, b'{"question": "no options"}', rows[0]]))

    # The good rows are submitted, twice; the bad one is reported and kept.
    submitted = await reasonmed.json("submit", str(file), code=1)
    assert (submitted["submitted"], submitted["rejected"]) == (QUESTIONS + 1, 1)
    (result,) = submitted["files"]
    assert json.loads(Path(result["rejected_file"]).read_bytes())["row"] == {"question": "no options"}
    assert (await reasonmed.json("submit", "-", stdin=b"\n".join(rows)))["submitted"] == QUESTIONS

    status = await _until_ended(reasonmed, QUESTIONS)
    assert status["dead_letters"] == {}
    counted = await reasonmed.json("status", "--count")
    assert counted["topics"]["question-submitted"]["messages"] >= 2 * QUESTIONS  # equal ones of one batch are one
    assert counted["topics"]["question-admitted"]["messages"] == QUESTIONS
    assert (counted["open"], counted["dead_letters"]) == (0, 0)
    assert {**status["ends"], **counted["ends"]} == status["ends"]
    assert f"{QUESTIONS}" in await reasonmed.run("status", "--folder", str(reasonmed.folder))

    # The gateway takes the same questions, and knows them.
    coordinates = json.loads((reasonmed.folder / "stack.json").read_text())
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{coordinates['gateway']}/questions", json=json.loads(rows[0]))
        assert answer.status_code == 202
        assert (await client.get(coordinates["metrics"]["verifier-1"])).text.count("reasonmed")

    recipes = await reasonmed.json("recipes", "list")
    assert recipes == [{"id": coordinates["recipe_id"], "name": "default", "current": True}]
    unheard_of = "recipe-" + 32 * "0"
    before = (await reasonmed.json("status", "--count"))["topics"]["question-submitted"]
    await reasonmed.run(
        "submit", "-", "--recipe", unheard_of, "--folder", str(reasonmed.folder), code=1, stdin=b"\n".join(rows)
    )
    assert (await reasonmed.json("status", "--count"))["topics"]["question-submitted"] == before
    assert (await reasonmed.json("topics", "declare", "--partitions", "4"))["created"] == []
    assert all(topic["on_cluster"] for topic in await reasonmed.json("topics", "describe"))
    shown = await reasonmed.json("show", answer.json()["case_id"])
    (work,) = shown["works"]
    assert work["end"] in ("accepted", "rejected")
    assert all(step["body"]["case_id"] == shown["case_id"] for step in work["way"])
    assert work["title"][:40] in await reasonmed.run("show", shown["case_id"], "--folder", str(reasonmed.folder))
    report = json.loads(await reasonmed.run("account", "--folder", str(reasonmed.folder)))
    assert (report["questions"], report["missing"], report["calls_against_ledger"]) == (QUESTIONS, 0, 0)

    children = psutil.Process(running.pid).children(recursive=True)
    assert len(children) >= 10  # Kafka, the model server, nine services
    running.terminate()
    out, said = await running.communicate()
    assert running.returncode == 0, said.decode()
    assert "drained" in out.decode()
    assert not [child for child in children if child.is_running()]
    assert not (reasonmed.folder / "stack.json").exists()
    assert read_dataset(reasonmed.folder / "dataset").num_rows == report["records"]


async def test_ctrl_c_drains_a_restart_resumes_and_a_kill_leaves_no_process(
    reasonmed: Reasonmed, running: asyncio.subprocess.Process
) -> None:
    rows = SAMPLES.read_bytes().splitlines()[:QUESTIONS]
    await reasonmed.json("submit", "-", stdin=b"\n".join(rows))
    await reasonmed.run("up", "--folder", str(reasonmed.folder), code=1)  # in use
    running.send_signal(signal.SIGINT)
    _, said = await running.communicate()
    assert running.returncode == 0, said.decode()

    again = await reasonmed.start("up", "--scripted", "--folder", str(reasonmed.folder))
    await _until(lambda: (reasonmed.folder / "stack.json").exists(), again)
    await _until_ended(reasonmed, QUESTIONS)
    report = json.loads(await reasonmed.run("account", "--folder", str(reasonmed.folder)))
    assert {report[name] for name in ("missing", "two_ends", "call_repeats", "calls_against_ledger")} == {0}

    children = psutil.Process(again.pid).children(recursive=True)
    again.kill()
    await again.communicate()
    gone, alive = await asyncio.to_thread(psutil.wait_procs, children, 10)
    assert len(gone) >= 10
    assert alive == []


async def _until_ended(reasonmed: Reasonmed, count: int) -> Any:
    """The status once so many questions have ended."""
    async with asyncio.timeout(60):
        while True:
            status = await reasonmed.json("status")  # the monitor is ready with the rest, and publishes each second
            if sum(status["ends"].values()) == count and status["open"] == 0:
                return status
            await asyncio.sleep(0.5)


async def _until(there: Any, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(READY_S):
        while not there():
            assert process.returncode is None, (await process.communicate())[1].decode()
            await asyncio.sleep(0.1)
