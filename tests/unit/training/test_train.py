"""`reasonmed train` with a stand-in trainer: what it refuses, what it hands to TRL, how it resumes, what it records."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.benchmark.weights import digest
from services.cli.__main__ import main
from services.core.dedupe.evaluation_file import dump
from services.core.dedupe.evaluation_index import Entry, build
from services.training.run import last_checkpoint, write_card
from tests.unit.datasets.world import records, write_parts
from tests.unit.training.stand_in import environment

RECORDS = records(12)
CONFIG = {"max_length": 100, "max_steps": 8, "save_steps": 2, "seed": 1}


def run(*arguments: str, variant: str = "ResponseMed") -> int:
    wanted = ("--base", "base", "--config", "sft.yaml", "--held-out", "evaluation.index", "--env", "env")
    with pytest.raises(SystemExit) as ended:
        main(["train", "run", "--variant", variant, "--dataset", "parts", *wanted, *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def index(*numbers: int, name: str = "evaluation.index") -> None:
    questions = [RECORDS[number].question for number in numbers]
    Path(name).write_bytes(dump(build((Entry.of("exam.jsonl", one, 1), one) for one in questions)))


def config(**changes: Any) -> None:
    Path("sft.yaml").write_text(yaml.safe_dump({**CONFIG, **changes}))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_parts(Path("parts"), [RECORDS])
    environment(tmp_path / "env")
    Path("base").mkdir()
    Path("base/model.safetensors").write_text("base")
    Path("base/chat_template.jinja").write_text("a template")
    index(2)
    config()


def record() -> dict[str, Any]:
    found = json.loads(Path("run/model/training.json").read_bytes())
    assert isinstance(found, dict)
    return found


def test_a_run_records_what_was_trained_on_what() -> None:
    assert run() == 0
    made = record()
    export = json.loads(Path("run/snapshot/export.json").read_bytes())
    assert made["snapshot"]["watermark"] == export["watermark"] == {"0": 12}
    assert made["snapshot"]["held_out"]["sha256"] == sha256(Path("evaluation.index").read_bytes()).hexdigest()
    assert made["snapshot"]["records"] == 11
    assert made["base"] == {"name": "base", "digest": digest(Path("base"))}
    assert made["weights"] == digest(Path("run/model"))
    assert made["losses"] == [{"step": step, "loss": round(1 / step, 4)} for step in range(1, 9)]
    assert made["lengths"]["rows"] == 11
    assert 0 < made["lengths"]["trained_tokens"] < made["lengths"]["tokens"]
    ran = yaml.safe_load(Path("run/sft.yaml").read_text())
    assert ran == made["config"]
    assert ran["dataset_name"] == str(Path("run/snapshot").absolute())
    assert {**CONFIG, **ran} == ran
    card = Path("run/model/README.md").read_text()
    for stated in (made["weights"], "base_model: base", "evaluation.index", "max_length: 100", "Not measured yet"):
        assert stated in card


def test_a_run_that_has_ended_is_not_run_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    before = Path("run/model/training.json").read_bytes()
    Path("env/bin/trl").unlink()
    assert run("--json") == 0
    assert json.loads(capsys.readouterr().out.rpartition("\n{\n")[2].join(["{\n", ""])) == json.loads(before)


def test_a_killed_run_resumes_from_the_last_complete_checkpoint_by_path(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    whole = record()
    Path("run").rename("whole")

    monkeypatch.setenv("KILLED_AT", "6")
    assert run() == 1
    assert "the same command resumes from the last checkpoint" in " ".join(capsys.readouterr().err.split())
    assert Path("run/model/checkpoint-6").exists()
    assert last_checkpoint(Path("run/model")) == Path("run/model/checkpoint-4")

    monkeypatch.delenv("KILLED_AT")
    assert run() == 0
    again = record()
    assert again["config"].pop("resume_from_checkpoint") == str(Path("run/model/checkpoint-4").absolute())
    assert again["losses"] == whole["losses"]
    assert again["weights"] == whole["weights"]


def test_a_run_is_not_resumed_with_other_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KILLED_AT", "6")
    assert run() == 1
    config(seed=2)
    assert run() == 1
    assert "was begun with other values of seed: name another folder" in " ".join(capsys.readouterr().err.split())


def refused(capsys: pytest.CaptureFixture[str], *, variant: str = "ResponseMed") -> str:
    assert run(variant=variant) == 1
    assert not Path("run/model").exists()
    return " ".join(capsys.readouterr().err.split())


def test_a_row_longer_than_max_length_ends_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    config(max_length=10)
    said = refused(capsys)
    assert "11 rows have more than 10 tokens and would be cut before their final answer (the first: record-" in said
    assert "raise max_length in sft.yaml" in said


def test_a_config_without_max_length_ends_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    config(max_length=None)
    assert "TRL's default of 1,024 tokens would cut longer rows without a word: set it" in refused(capsys)


def test_packing_without_a_kernel_for_it_ends_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    config(packing=True)
    assert "Turn packing off" in refused(capsys)


def test_a_base_without_a_chat_template_ends_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    Path("base/chat_template.jinja").unlink()
    assert "base has no chat template, so prompts can't be rendered: take an instruction-tuned model" in refused(capsys)


def test_a_snapshot_that_was_not_checked_for_evaluation_questions_ends_the_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    export = ["export", "parts", "--form", "prompt-completion", "--variant", "ResponseMed", "--out", "run/snapshot"]
    for more in ((), ("--held-out", "evaluation.index")):
        with pytest.raises(SystemExit):
            main([*export, *more])
        if more:
            index(2, 3)
        said = refused(capsys)
        assert "may be in it: export it" in said
        assert "--held-out evaluation.index" in said
    with pytest.raises(SystemExit):
        main([*export, "--held-out", "evaluation.index"])
    assert run() == 0
    assert record()["snapshot"]["records"] == 10


def test_a_snapshot_of_another_variant_or_form_ends_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ["--variant", "CoTMed", "--out", "run/snapshot", "--held-out", "evaluation.index"]
    for form, why in (("prompt-completion", "is of CoTMed, not of ResponseMed"), ("messages", "has the form messages")):
        with pytest.raises(SystemExit):
            main(["export", "parts", "--form", form, *wanted])
        assert why in refused(capsys)


def test_a_benchmark_of_the_weights_is_in_the_card() -> None:
    assert run() == 0
    accuracy = {"mean": 0.5, "low": 0.4, "high": 0.6}
    group = {"set": "medqa", "subject": "all", "questions": 9, "accuracy": accuracy, "stated": 1.0}
    write_card(
        Path("run/model"),
        {
            "prompt": "exported",
            "sampling": {"temperature": 0.0},
            "samples": 1,
            "held_out": {"index": "evaluation.index", "missing": 0},
            "groups": [group],
        },
    )
    card = Path("run/model/README.md").read_text()
    assert "| medqa | all | 9 | 50.0% | 40.0% to 60.0% | 100.0% |" in card
    assert digest(Path("run/model")) == record()["weights"]


@pytest.mark.parametrize("name", ["small-cpu.yaml", "7b.yaml", "14b.yaml"])
def test_the_shipped_configs_pass_the_checks(name: str) -> None:
    shipped = Path(__file__).parents[3] / "deploy" / "training" / name
    assert run("--config", str(shipped)) == (0 if name == "small-cpu.yaml" else 1)
    ran = yaml.safe_load(Path("run/sft.yaml").read_text())
    assert ran["max_length"] >= 2048
    if name != "small-cpu.yaml":
        assert ran["accelerate_config"] == str(shipped.with_name("fsdp2.yaml"))
