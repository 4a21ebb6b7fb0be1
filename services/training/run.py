"""The folder of a training run.

RUN/snapshot        the export that is trained on
RUN/sft.yaml        what `trl sft` runs: the config file with the run's paths
RUN/train.log       what it printed
RUN/cache           of `datasets`: the rows as it holds them
RUN/model           checkpoints, then the weights, training.json and the card
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from services.contracts.codec import Malformed, loads
from services.training.card import card
from services.training.checks import NotReady

RECORD = "training.json"
_STEP = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True)
class Run:
    """A run's paths."""

    folder: Path

    @property
    def snapshot(self) -> Path:
        """The export."""
        return self.folder / "snapshot"

    @property
    def model(self) -> Path:
        """The weights."""
        return self.folder / "model"

    @property
    def cache(self) -> Path:
        """The cache of `datasets`, for this run's rows alone."""
        return self.folder / "cache"

    @property
    def config(self) -> Path:
        """The configuration of `trl sft`."""
        return self.folder / "sft.yaml"

    @property
    def log(self) -> Path:
        """The output of `trl sft`."""
        return self.folder / "train.log"


def load_config(file: Path) -> dict[str, Any]:
    """A config file of `trl sft`. A relative `accelerate_config` is a file beside it. Raises NotReady, OSError."""
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise NotReady(f"{file} is not YAML: {error}") from error
    if not isinstance(config, dict):
        raise NotReady(f"{file} must map the options of `trl sft` to values: see deploy/training")
    if ours := sorted({"model_name_or_path", "dataset_name", "output_dir", "resume_from_checkpoint"} & set(config)):
        raise NotReady(f"{file} sets {', '.join(ours)}, which `train` decides: take it out")
    if (beside := file.parent / str(config.get("accelerate_config", ""))).is_file():
        config["accelerate_config"] = str(beside.absolute())
    return config


def composed(config: Mapping[str, Any], base: str, run: Run, *, has_test: bool) -> dict[str, Any]:
    """The whole configuration of a run, resuming from its last complete checkpoint, by path."""
    made = {
        **config,
        "model_name_or_path": base,
        "dataset_name": str(run.snapshot.absolute()),
        "dataset_test_split": "test",
        "output_dir": str(run.model.absolute()),
    }
    if not has_test:
        made["eval_strategy"] = "no"
    if (checkpoint := last_checkpoint(run.model)) is not None:
        made["resume_from_checkpoint"] = str(checkpoint.absolute())
    return made


def write_config(run: Run, config: Mapping[str, Any]) -> None:
    """Write RUN/sft.yaml. Raises NotReady if the run was begun with another one."""
    if run.config.exists():
        before = yaml.safe_load(run.config.read_text(encoding="utf-8"))
        if differ := sorted(name for name in {*before, *config} if _setting(before, name) != _setting(config, name)):
            raise NotReady(f"{run.folder} was begun with other values of {', '.join(differ)}: name another folder")
    run.config.write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")


def _setting(config: Mapping[str, Any], name: str) -> Any:
    return None if name == "resume_from_checkpoint" else config.get(name)


def last_checkpoint(model: Path) -> Path | None:
    """The last complete checkpoint. The trainer writes its state last: without it, a checkpoint was broken off."""
    found = [
        (int(match[1]), folder) for folder in model.glob("checkpoint-*") if (match := _STEP.fullmatch(folder.name))
    ]
    for step, folder in sorted(found, reverse=True):
        if _state(folder).get("global_step") == step:
            return folder
    return None


def losses(model: Path) -> list[dict[str, Any]]:
    """The loss by step, from the last checkpoint's state; with one of evaluation where there was one."""
    checkpoint = last_checkpoint(model)
    history = [] if checkpoint is None else _state(checkpoint).get("log_history", [])
    names = ("step", "loss", "eval_loss")
    kept = [{name: line[name] for name in names if name in line} for line in history]
    return [line for line in kept if len(line) > 1]


def record_of(weights: Path) -> dict[str, Any] | None:
    """The training.json of weights that a run made; None for others."""
    try:
        found = loads((weights / RECORD).read_bytes())
    except FileNotFoundError:
        return None
    assert isinstance(found, dict)
    return found


def index_of(weights: Path) -> str | None:
    """The SHA-256 of the index that these weights' training data was checked against, if a run made them."""
    record = record_of(weights)
    return None if record is None else str(record["snapshot"]["held_out"]["sha256"])


def write_card(weights: Path, benchmark: Mapping[str, Any] | None = None) -> None:
    """Write the model card of a run's weights, with the figures of a benchmark; of other weights, nothing."""
    if (record := record_of(weights)) is not None:
        (weights / "README.md").write_text(card(record, benchmark), encoding="utf-8")


def _state(checkpoint: Path) -> dict[str, Any]:
    try:
        found = loads((checkpoint / "trainer_state.json").read_bytes())
    except (FileNotFoundError, Malformed):
        return {}
    return found if isinstance(found, dict) else {}
