"""The chart's training Job with a stand-in trainer: a pod is killed, and the next one runs the same command line."""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("helm_python", reason="helm-python-sdk has no wheel for this platform")

from k8s.check.chart import render
from services.core.dedupe.evaluation_file import dump
from services.core.dedupe.evaluation_index import Entry, build
from tests.unit.datasets.world import records, write_parts
from tests.unit.training.stand_in import environment

RECORDS = records(6)
START_S = 60.0
"""Seconds that a pod may take to its sixth step, on a busy machine."""


class Node:
    """A node that runs the Job's pods as processes: folders here are its volumes, and /opt/train of the image."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.volume = folder / "training"
        base = self.volume / "base"
        base.mkdir(parents=True)
        (base / "model.safetensors").write_text("base")
        (base / "chat_template.jinja").write_text("a template")
        (self.volume / "sft.yaml").write_text(yaml.safe_dump({"max_length": 100, "max_steps": 8, "save_steps": 2}))
        entry = Entry.of("exam.jsonl", RECORDS[2].question, 1)
        (self.volume / "evaluation.index").write_bytes(dump(build([(entry, RECORDS[2].question)])))
        write_parts(folder / "dataset", [RECORDS])
        environment(folder / "env")
        self.pod = _container()
        self.mounts = {each["mountPath"]: folder / each["name"] for each in self.pod["volumeMounts"]}
        self.mounts["/opt/train"] = folder / "env"
        for place in self.mounts.values():
            place.mkdir(exist_ok=True)

    def start(self, **more: str) -> subprocess.Popen[bytes]:
        """A pod's container, in a process group of its own."""
        command = [self._path(argument) for argument in [*self.pod["command"], *self.pod["args"]]]
        declared = {each["name"]: self._path(each["value"]) for each in self.pod["env"]}
        image = {"PATH": f"{Path(sys.executable).parent}:{os.defpath}"}
        return subprocess.Popen(command, cwd=self.folder, env={**image, **declared, **more}, start_new_session=True)

    def record(self) -> Any:
        return json.loads((self.volume / "runs/first/model/training.json").read_bytes())

    def _path(self, value: str) -> str:
        for mounted, place in self.mounts.items():
            if value == mounted or value.startswith(mounted + "/"):
                return f"{place}{value.removeprefix(mounted)}"
        return value


def _container() -> dict[str, Any]:
    run = {"run": "first", "image": "stand-in:1", "base": "base", "config": "sft.yaml", "gpus": 0}
    (job,) = [one for one in render({"training": run}).of_kind("Job") if "-training-" in one["metadata"]["name"]]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert isinstance(container, dict)
    return container


def test_the_pod_after_a_killed_one_resumes_by_path_on_the_volume(tmp_path: Path) -> None:
    quiet, node = Node(tmp_path / "quiet"), Node(tmp_path / "drained")
    assert quiet.start().wait(START_S) == 0

    killer = tmp_path / "killer"
    os.mkfifo(killer)
    reader = os.open(killer, os.O_RDONLY | os.O_NONBLOCK)
    pod = node.start(KILLED_AT="6", KILLER=str(killer))
    ended = os.pidfd_open(pod.pid)
    readable, *_ = select.select([reader, ended], [], [], START_S)
    os.killpg(pod.pid, signal.SIGKILL)  # reasonmed and the trainer: nothing can be written any more
    pod.wait()
    os.close(reader)
    os.close(ended)
    assert readable == [reader], "the pod ended, or did not train, before it was killed"

    assert node.start().wait(START_S) == 0
    whole, resumed = quiet.record(), node.record()
    checkpoint = node.volume / "runs/first/model/checkpoint-4"
    assert resumed["config"]["resume_from_checkpoint"] == str(checkpoint)
    assert "resume_from_checkpoint" not in whole["config"]
    assert resumed["losses"] == whole["losses"]
    assert resumed["weights"] == whole["weights"]
    assert resumed["snapshot"] == whole["snapshot"]
