"""A log that can't be written takes nothing else with it."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
TALKS = """
import structlog
from services.runtime.process.logs import configure

configure(service="toy", owner="me")
log = structlog.get_logger()
for number in range(100):
    log.warning("full", number=number)
try:
    raise ValueError("boom")
except ValueError:
    log.exception("failed")
print("done")
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
def test_a_log_on_a_full_disk_is_lost_and_nothing_else() -> None:
    with open("/dev/full", "wb") as full:
        ended = subprocess.run([sys.executable, "-c", TALKS], cwd=PROJECT, stdout=subprocess.PIPE, stderr=full)
    assert (ended.returncode, ended.stdout) == (0, b"done\n")


def test_a_log_that_may_grow_no_further_keeps_what_it_has(tmp_path: Path) -> None:
    argv = [
        "/bin/sh",
        "-c",
        'ulimit -f 8 && exec "$@"',
        "sh",
        sys.executable,
        "-B",
        "-c",
        TALKS.replace("100", "9_000"),
    ]
    with (tmp_path / "log").open("wb") as log:
        ended = subprocess.run(argv, cwd=PROJECT, stdout=subprocess.PIPE, stderr=log)
    assert (ended.returncode, ended.stdout) == (0, b"done\n")
    assert (tmp_path / "log").read_bytes().startswith(b'{"number": 0')
