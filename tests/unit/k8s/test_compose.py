"""deploy/compose.yaml and the Dockerfile name settings, commands and locks that exist."""

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

from k8s.check.names import SETTINGS
from services.runtime.process.settings import Settings
from services.runtime.process.settings_help import settings_of

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
OURS = {name: each for name, each in COMPOSE["services"].items() if each["image"].startswith("reasonmed-")}


def test_every_service_runs() -> None:
    commands = {each["command"][0] for each in OURS.values()}
    assert commands - {"sh"} == SCRIPTS.keys() - {"reasonmed"}


def test_each_variable_is_a_setting() -> None:
    for name, each in OURS.items():
        known = {setting.name for setting in settings_of(SETTINGS.get(name, Settings))}
        assert {variable for variable in each["environment"] if variable.startswith("REASONMED_")} <= known, name


def test_images_have_a_version() -> None:
    assert all(re.fullmatch(r"[\w/-]+:\d+\.\d+\.\d+", each["image"]) for each in COMPOSE["services"].values())


def test_the_image_copies_files_that_exist_and_the_build_context_has_them() -> None:
    text = (ROOT / "Dockerfile").read_text()
    copied = [name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE) for name in line.split()]
    kept = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert {"services", "deploy/requirements-stream.lock"} <= set(copied)
    assert set(copied) == kept
    assert all((ROOT / name).exists() for name in copied)
