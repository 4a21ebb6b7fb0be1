"""For all tests. `--shuffle SEED` takes the files in a random order, the same for a seed: no file may need another.

Otherwise the files that take longest come first: the many short ones fill what is left of the last minute.
"""

import contextlib
import os
import random
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.local.processes import ports

# A busy machine is no failure: pytest's own time-out bounds a test.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

# Whoever starts the tests in the background has a shell make them deaf to Ctrl-C, and so every process that they start:
# those whose Ctrl-C is tested would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)


# A shell's own settings are not the tests': some 400 processes start, and each would compile what it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Nor these. Where Kafka's jars are is.
for name in [name for name in os.environ if name.startswith(("REASONMED_", "OTEL_")) and name != "REASONMED_CACHE"]:
    del os.environ[name]

# One worker of xdist draws no port that another has given out: until a child binds it, it looks free.
workers, worker = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1)), os.environ.get("PYTEST_XDIST_WORKER", "gw0")
ports._left = [port for port in ports._left if port % workers == int(worker.removeprefix("gw"))]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shuffle", type=int, metavar="SEED", help="Take the test files in a random order.")


LONGEST_FIRST = ("docs", "kafka", "s3", "browser", "laws", "http")
"""Folders under tests/, before all others."""


def pytest_configure(config: pytest.Config) -> None:
    config.option.loadscopereorder = False  # xdist's `loadfile` would take the file with most tests first


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    files = sorted({item.path for item in items})
    if (seed := config.getoption("shuffle")) is not None:
        random.Random(seed).shuffle(files)
    else:
        files.sort(key=_rank)
    places = {path: place for place, path in enumerate(files)}
    items.sort(key=lambda item: places[item.path])


def _rank(file: Path) -> int:
    folder = file.relative_to(Path(__file__).parent).parts[0]
    return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)


@pytest.fixture(scope="session")
def gateway_port_taken() -> Iterator[None]:
    """`up` takes port 8080 where it is free: of two that start at once, each would find it so."""
    with socket.socket() as held:
        with contextlib.suppress(OSError):  # by another worker, or whatever runs here
            held.bind((ports.LOOPBACK, 8080))
        yield


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Tracing is on, as it is in a process with a collector; the spans that have ended are kept here."""
    kept, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)  # a process sets it once; a test gives it back
    return kept
