"""How `reasonmed train` makes a snapshot, checks it, and has TRL train on it."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from services.benchmark.weights import digest
from services.cli.console import Failed, emit, err, out
from services.cli.data import exporting
from services.cli.data.dataset import dataset_of
from services.contracts.codec import loads
from services.datasets.export import MARK
from services.datasets.names import Variant
from services.datasets.questions import HeldOut
from services.datasets.records import Filters
from services.datasets.splits import Splits
from services.datasets.summary import Request
from services.training import lengths as lengths_program
from services.training.checks import check_config, check_lengths, check_snapshot
from services.training.run import RECORD, Run, composed, load_config, losses, record_of, write_card, write_config

LOG_LINES = 15
"""Of the trainer's log, shown where it failed."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The options."""

    run: Path
    variant: Variant
    base: str
    config: Path
    held_out: Path
    env: Path
    dataset: str | None
    folder: Path


def run(wanted: Wanted, *, json: bool) -> None:
    """Train, or resume, or say that the run has ended. Raises Failed and Trouble with the remedy."""
    run = Run(wanted.run)
    if (record := record_of(run.model)) is None:
        record = _trained(wanted, run)
    if json:
        emit(record)
        return
    out.print(
        f"{run.model} has {wanted.variant}, sha256 {record['weights']}, of {record['snapshot']['records']} records. "
        f"Serve it as NAME@{record['weights'][:12]}; measure it: reasonmed benchmark FILES --model NAME --weights …",
        highlight=False,
        soft_wrap=True,
    )


def _trained(wanted: Wanted, run: Run) -> dict[str, Any]:
    config = load_config(wanted.config)
    max_length = check_config(config, wanted.config)
    held_out = exporting.held_out_index(wanted.held_out)
    run.folder.mkdir(parents=True, exist_ok=True)
    summary = _snapshot(wanted, run, held_out)
    check_snapshot(summary, wanted.variant, str(wanted.held_out), held_out.sha256)
    counted = _lengths(wanted, run, max_length)
    check_lengths(counted, wanted.base, max_length, wanted.config)
    config = composed(config, wanted.base, run, has_test=bool(summary["splits"].get("test", {}).get("rows")))
    write_config(run, config)
    _train(wanted, run)
    record = _record(wanted, run, summary, counted, config)
    # The record marks the run as ended: all else is there before it.
    (run.model / RECORD).write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    write_card(run.model)
    return record


def _snapshot(wanted: Wanted, run: Run, held_out: HeldOut) -> dict[str, Any]:
    """The summary of the run's snapshot, which is made once: a resumed run trains on the same rows."""
    if not (run.snapshot / MARK).exists():
        request = Request(
            variant=wanted.variant,
            form="prompt-completion",
            system=None,
            splits=Splits.parse("train=0.98,test=0.02", "0"),
            filters=Filters(),
            lineage=True,
            licences={},
            recipe_names=exporting.names(exporting.shipped()),
            language="en",
            held_out=held_out,
        )
        exporting.run(request, wanted.dataset or str(dataset_of(wanted.folder)), run.snapshot)
    found = loads((run.snapshot / MARK).read_bytes())
    assert isinstance(found, dict)
    return found


def _lengths(wanted: Wanted, run: Run, max_length: int) -> dict[str, Any]:
    program = [str(wanted.env / "bin/python"), lengths_program.__file__]
    program += [wanted.base, str(run.snapshot), str(max_length)]
    try:
        done = subprocess.run(program, capture_output=True, text=True, check=False)  # noqa: S603 -- the user's own
    except OSError as error:
        raise Failed(f"{wanted.env} is no training environment ({error}): see docs/train.md") from error
    if done.returncode:
        raise Failed(f"the tokens of {wanted.base} can't be counted: {done.stderr.strip()[-500:]}")
    found = loads(done.stdout.splitlines()[-1].encode())
    assert isinstance(found, dict)
    return found


def _train(wanted: Wanted, run: Run) -> None:
    err.print(f"training; its log is {run.log}", highlight=False)
    # `datasets` caches by the folder's name: every run's is `snapshot`, and offline another run's rows were trained on.
    shutil.rmtree(run.cache, ignore_errors=True)
    environment = {**os.environ, "HF_DATASETS_CACHE": str(run.cache.absolute())}
    with run.log.open("ab") as log:
        command = [str(wanted.env / "bin/trl"), "sft", "--config", str(run.config)]
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=environment, check=False)  # noqa: S603
    if done.returncode:
        last = run.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
        raise Failed(
            f"`trl sft` ended with {done.returncode}: the same command resumes from the last checkpoint. "
            f"The end of {run.log}:\n" + "\n".join(last)
        )


def _record(
    wanted: Wanted, run: Run, summary: Mapping[str, Any], counted: dict[str, Any], config: Mapping[str, Any]
) -> dict[str, Any]:
    kept = ("variant", "form", "watermark", "records", "splits", "sources", "recipes", "recipe_names", "held_out")
    base = Path(wanted.base)
    return {
        "format": 1,
        "variant": wanted.variant,
        "base": {"name": wanted.base, "digest": digest(base) if base.is_dir() else None},
        "snapshot": {
            "export_sha256": sha256((run.snapshot / MARK).read_bytes()).hexdigest(),
            **{name: summary[name] for name in kept},
        },
        "versions": counted.pop("versions"),
        "lengths": counted,
        "config": config,
        "losses": losses(run.model),
        "weights": digest(run.model),
    }
