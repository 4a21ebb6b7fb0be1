"""The digest of weights: what decides replies is in it, and nothing else."""

from pathlib import Path

import pytest

from services.benchmark.weights import NoWeights, digest, served_name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"])
def test_what_decides_replies_changes_it(folder: Path, name: str) -> None:
    before = digest(folder)
    (folder / name).write_text("other")
    assert digest(folder) != before


@pytest.mark.parametrize("name", ["README.md", "training.json", "benchmark.json", "checkpoint-6/model.safetensors"])
def test_cards_records_and_checkpoints_do_not(folder: Path, name: str) -> None:
    before = digest(folder)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("other")
    assert digest(folder) == before


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoWeights, match=r"holds no \*\.safetensors"):
        digest(tmp_path)


def test_the_served_name_has_twelve_digits() -> None:
    assert served_name("mine", "0123456789abcdef") == "mine@0123456789ab"
