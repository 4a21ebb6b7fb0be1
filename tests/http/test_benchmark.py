"""`reasonmed benchmark` against the scripted server: what it pays for, what it notices, what it writes."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from services.benchmark.weights import digest
from services.cli.__main__ import main
from services.llm.scripted.known import SAMPLES
from tests.http.scripted_process import ROOT, Server

QUESTIONS = 30


@pytest.fixture(autouse=True)
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REASONMED_LEDGER", f"sqlite://{tmp_path}/ledger.sqlite")
    return tmp_path / "ledger.sqlite"


def run(*arguments: str | Path) -> int:
    """In this process; the exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["benchmark", str(SAMPLES), "--model", "mine", *map(str, arguments)])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def hosted(server: Server, *arguments: str | Path) -> int:
    return run("--revision", "1", "--llm-url", server.url, *arguments)


def report(name: str = "benchmark.json") -> Any:
    return json.loads(Path(name).read_bytes())


def test_asked_again_sends_nothing_and_more_samples_send_the_new_ones(
    serve: Callable[..., Server], capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve("--latency", "0", "--seed", "3")
    warm = ("--temperature", "0.7")
    assert hosted(server, *warm) == 0
    first = Path("benchmark.json").read_bytes()
    assert Counter(line["stage"] for line in server.lines("start")) == {"benchmark": QUESTIONS}
    assert "unverified" in capsys.readouterr().out

    assert hosted(server, *warm, "--json") == 0
    assert json.loads(capsys.readouterr().out)["requests"] == {"sent": 0, "replied": 0, "from_ledger": QUESTIONS}
    assert Path("benchmark.json").read_bytes() == first
    assert len(server.lines("start")) == QUESTIONS

    assert hosted(server, *warm, "--samples", "4", "--json") == 0
    paid = {"sent": 3 * QUESTIONS, "replied": 3 * QUESTIONS, "from_ledger": QUESTIONS}
    assert json.loads(capsys.readouterr().out)["requests"] == paid
    assert len(server.lines("start")) == 4 * QUESTIONS
    seeds = Counter((line["case"], line["seed"]) for line in server.lines("end"))
    assert set(seeds.values()) == {1}


def test_the_figures_follow_from_the_answers_in_the_file(serve: Callable[..., Server]) -> None:
    server = serve("--latency", "0")
    assert hosted(server, "--samples", "3", "--temperature", "1", "--price-in", "1000", "--price-out", "2000") == 0
    made = report()
    answers = {line["id"]: line["stated"] for line in server.lines("end")}
    samples = [sample for row in made["answers"] for sample in row["samples"]]
    assert {sample["call_id"]: sample["stated"] for sample in samples} == answers

    rights = [[one["stated"] == row["gold"] for one in row["samples"]] for row in made["answers"]]
    whole = made["groups"][0]
    assert (whole["set"], whole["subject"], whole["questions"]) == ("all", "all", QUESTIONS)
    assert whole["accuracy"]["mean"] == round(sum(map(sum, rights)) / (3 * QUESTIONS), 4)
    assert whole["accuracy"]["low"] < whole["accuracy"]["mean"] < whole["accuracy"]["high"]
    assert whole["pass@3"]["mean"] == round(sum(map(any, rights)) / QUESTIONS, 4)
    assert (whole["stated"], whole["cut_off"], whole["failed"]) == (1.0, 0, 0)
    used = made["usage"]
    assert used["calls"] == 3 * QUESTIONS
    assert used["cost_usd"] == round((used["tokens_in"] * 1000 + used["tokens_out"] * 2000) / 1e6, 6)


def test_what_is_cut_off_is_wrong_and_counted(serve: Callable[..., Server]) -> None:
    assert hosted(serve("--latency", "0"), "--max-tokens", "5") == 0
    whole = report()["groups"][0]
    assert (whole["questions"], whole["cut_off"], whole["failed"]) == (QUESTIONS, QUESTIONS, 0)
    assert (whole["stated"], whole["accuracy"]["mean"]) == (0.0, 0.0)


def test_killed_and_started_again_nothing_in_the_ledger_is_sent_twice(
    serve: Callable[..., Server], ledger: Path
) -> None:
    server = serve("--slots", "2", "--latency", "0.1")
    wanted = [str(SAMPLES), "--model", "mine", "--revision", "1", "--llm-url", server.url]
    command = [sys.executable, "-m", "services.cli", "benchmark", *wanted]
    environment = {**os.environ, "REASONMED_LEASE_S": "2"}
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, env=environment) as process:
        while len(_held(ledger)) < 5:
            assert process.poll() is None
            time.sleep(0.02)  # another process writes the ledger
        process.send_signal(signal.SIGKILL)
    held, sent = _held(ledger), len(server.lines("start"))
    assert 5 <= len(held) < QUESTIONS

    assert hosted(server) == 0
    assert not held & {line["id"] for line in server.lines("start")[sent:]}
    made = {sample["call_id"] for row in report()["answers"] for sample in row["samples"]}
    assert made == {line["id"] for line in server.lines("end") if line["status"] == 200}


def _held(ledger: Path) -> set[str]:
    """The calls whose outcome the ledger has."""
    if not ledger.exists():
        return set()
    connection = sqlite3.connect(ledger)
    try:
        return {row[0] for row in connection.execute(HELD)}
    except sqlite3.OperationalError:  # not created yet, or busy
        return set()
    finally:
        connection.close()


HELD = "SELECT call_id FROM call"


def test_a_checkpoint_that_changed_under_one_name_is_asked_under_another(serve: Callable[..., Server]) -> None:
    server, folder = serve("--latency", "0"), Path("weights")
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"first")
    wanted = ("--weights", folder, "--llm-url", server.url)
    assert run(*wanted) == 0
    before = report()
    assert before["model"] == {"served": f"mine@{digest(folder)[:12]}", "revision": digest(folder)}
    assert before["weights"]["verified"]

    (folder / "model.safetensors").write_bytes(b"second")
    assert run(*wanted, "--against", "benchmark.json", "--to", "after.json") == 0
    after = report("after.json")
    assert after["model"]["served"] != before["model"]["served"]
    assert len(server.lines("start")) == 2 * QUESTIONS
    (whole, *_) = after["against"]["differences"]
    # The scripted server answers by question and seed, whatever the model.
    assert (whole["questions"], whole["difference"]["mean"], whole["mcnemar_p"]) == (QUESTIONS, 0.0, 1.0)
    assert whole["difference"]["low"] < 0 < whole["difference"]["high"]


def test_questions_that_no_index_holds_are_named_with_the_remedy(
    serve: Callable[..., Server], capfd: pytest.CaptureFixture[str]
) -> None:
    server = serve("--latency", "0")
    few = b"".join(SAMPLES.read_bytes().splitlines(keepends=True)[:20])
    for name, lines in (("all", SAMPLES.read_bytes()), ("few", few)):
        Path(f"{name}.jsonl").write_bytes(lines)
        with pytest.raises(SystemExit):
            main(["index", f"{name}.jsonl", "--out", f"{name}.index"])
    assert hosted(server, "--held-out", "all.index") == 0
    assert report()["held_out"]["missing"] == 0
    capfd.readouterr()
    assert hosted(server, "--held-out", "few.index") == 0
    said = capfd.readouterr().err
    assert "10 of 30 questions aren't in few.index" in said
    assert "add their file with `reasonmed index`, then export and train again" in said
    assert report()["held_out"]["missing"] == 10

    trained = {"snapshot": {"held_out": {"sha256": sha256(Path("all.index").read_bytes()).hexdigest()}}}
    Path("weights").mkdir()
    Path("weights/model.safetensors").write_bytes(b"x")
    Path("weights/training.json").write_text(json.dumps(trained))
    assert run("--weights", "weights", "--held-out", "few.index", "--llm-url", server.url) == 1
    assert "was checked against another index" in capfd.readouterr().err


async def test_a_server_of_other_weights_is_named_with_the_remedy(served: Callable[..., Any]) -> None:
    async def unknown(request: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "no such model", "code": "model_not_found"}}, status=404)

    Path("weights").mkdir()
    Path("weights/model.safetensors").write_bytes(b"x")
    app = web.Application()
    app.router.add_post("/v1/chat/completions", unknown)
    async with served(app) as url:
        wanted = [str(SAMPLES), "--model", "mine", "--weights", str(Path("weights").absolute()), "--llm-url", url]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.cli", "benchmark", *wanted, cwd=ROOT, stderr=asyncio.subprocess.PIPE
        )
        assert process.stderr is not None
        said = (await process.stderr.readuntil(b"--served-model-name")) + await process.stderr.readline()
        process.send_signal(signal.SIGINT)
        await process.communicate()
    assert b"unknown model" in said
    assert f"mine@{digest(Path('weights'))[:12]}" in said.decode()
