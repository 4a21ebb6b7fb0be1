"""`reasonmed evaluate` against the scripted server: what it pays for, what it keeps, what it writes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from services.cli.__main__ import main
from services.evaluator.replies import CRITERIA
from tests.http.scripted_process import ROOT, Server
from tests.unit.datasets.world import write_parts
from tests.unit.exporter.world import record

RECORDS = 12


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Twelve records."""
    made = [record(number, difficulty=("easy", "medium")[number % 2]) for number in range(RECORDS)]
    return write_parts(tmp_path / "dataset", [made], rows=RECORDS)


@pytest.fixture(autouse=True)
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REASONMED_LEDGER", f"sqlite://{tmp_path}/ledger.sqlite")


def run(*arguments: str | Path) -> int:
    """In this process; the exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", *map(str, arguments)])
    code = ended.value.code
    assert isinstance(code, int)
    return code


def test_a_repeated_evaluation_pays_nothing_and_says_the_same(
    dataset: Path, serve: Callable[..., Server], capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve("--latency", "0", "--seed", "3")
    assert run(dataset, "--llm-url", server.url, "--sample", "6") == 0
    first = (dataset.parent / "evaluation.json").read_bytes()
    paid = server.lines("start")
    assert Counter(line["stage"] for line in paid) == {"evaluate": 18}
    assert "CoTMed" in capsys.readouterr().out

    assert run(dataset, "--llm-url", server.url, "--sample", "6", "--json") == 0
    assert (dataset.parent / "evaluation.json").read_bytes() == first
    assert json.loads(capsys.readouterr().out) == json.loads(first)
    assert len(server.lines("start")) == 18

    assert run(dataset, "--llm-url", server.url, "--sample", "12") == 0
    assert len(server.lines("start")) == 36


def test_the_file_holds_every_rating_with_its_calls_and_the_figures_that_follow(
    dataset: Path, serve: Callable[..., Server], tmp_path: Path
) -> None:
    server, file = serve("--latency", "0"), tmp_path / "there.json"
    assert run(dataset, "--llm-url", server.url, "--to", file) == 0
    report = json.loads(file.read_bytes())

    assert {call_id for rating in report["ratings"] for call_id in rating["call_ids"]} == {
        line["id"] for line in server.lines("end")
    }
    for variant in ("CoTMed", "ResponseMed", "ReasonMed"):
        ratings = [rating["ratings"] for rating in report["ratings"] if rating["variant"] == variant]
        (whole,) = (g for g in report["groups"] if (g["variant"], g["by"]) == (variant, "all"))
        assert (whole["records"], whole["questions"], whole["unread"]) == (RECORDS, RECORDS, 0)
        for criterion in CRITERIA:
            mean = sum(rating[criterion] for rating in ratings) / RECORDS
            assert whole[criterion]["mean"] == round(mean, 3)
            assert whole[criterion]["low"] < mean < whole[criterion]["high"]
    assert {g["of"] for g in report["groups"] if g["by"] == "difficulty"} == {"easy", "medium"}


def test_after_ctrl_c_the_same_command_pays_only_for_the_rest(dataset: Path, serve: Callable[..., Server]) -> None:
    server = serve("--slots", "4", "--latency", "0.1")
    command = [sys.executable, "-m", "services.cli", "evaluate", str(dataset), "--llm-url", server.url]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        while len(server.lines("end")) < 5:
            assert process.poll() is None
            time.sleep(0.02)  # another process writes the log
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 1
    assert "the same command resumes from here" in said
    broken_off = len(server.lines("start"))

    assert run(dataset, "--llm-url", server.url) == 0
    assert broken_off <= len(server.lines("start")) == 3 * RECORDS
    assert set(Counter(line["id"] for line in server.lines("start")).values()) == {1}


def test_unreadable_ratings_are_reported_and_in_no_mean(
    dataset: Path, serve: Callable[..., Server], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    server = serve("--latency", "0")
    evaluator = tmp_path / "evaluator.yaml"
    evaluator.write_text(
        "{name: mine, alias: other, model: {served: m, price_in: 1000, price_out: 2000}, prompt: mine.md, max_asks: 2,"
        " sampling: {temperature: 0, max_tokens: 5}}"  # cut off in the first field
    )
    (tmp_path / "mine.md").write_text("{question}\n{gold}\n<reasoning>\n{path}\n</reasoning>\n")
    assert run(dataset, "--llm-url", server.url, "--sample", "2", "--evaluator", evaluator) == 0
    report = json.loads((dataset.parent / "evaluation.json").read_bytes())
    assert [rating["ratings"] for rating in report["ratings"]] == [None] * 6
    assert {rating["justification"] for rating in report["ratings"]} == {"no reply could be read in 2 asks"}
    assert {group["overall"]["mean"] for group in report["groups"]} == {None}
    assert len(server.lines("start")) == report["tokens"]["calls"] == 12
    assert report["cost"] == round((report["tokens"]["in"] * 1_000 + 12 * 5 * 2_000) / 1e6, 6)
    assert "6 ratings could not be had" in capsys.readouterr().out


def test_missing_inputs_are_reported_in_a_sentence(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(dataset) == 1
    assert "nothing says where qwen is served" in capsys.readouterr().err
    assert run(tmp_path / "empty", "--llm-url", "http://127.0.0.1:1/v1") == 1
    assert "holds no records" in capsys.readouterr().err
    monkeypatch.delenv("REASONMED_LEDGER")
    assert run(dataset, "--llm-url", "http://127.0.0.1:1/v1", "--folder", tmp_path) == 1
    assert "REASONMED_LEDGER" in capsys.readouterr().err
