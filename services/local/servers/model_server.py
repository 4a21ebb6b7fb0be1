"""The model server of a local stack: a small real one, a scripted one, or the user's own."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

import httpx

from services.contracts.recipe import Recipe
from services.core.endpoint import Endpoint
from services.local.processes.ports import LOOPBACK, free_ports
from services.local.processes.process import Process, until
from services.local.servers.small_model import ModelServer

_PROJECT = Path(__file__).parents[3]
_ASK_EVERY = 0.1


@dataclass(frozen=True, kw_only=True)
class Small:
    """SmolLM2-135M on this machine's CPU: real tokens, poor medicine."""

    slots: int = 4
    context: int = 2_048
    """Tokens per slot, for prompt and completion."""


@dataclass(frozen=True, kw_only=True)
class Scripted:
    """The scripted server: real HTTP, no model. With a data folder it answers from its recordings."""

    slots: int = 32
    latency: str = "0.2"
    """Seconds per call, or `MIN:MAX`."""
    seed: int = 1
    data: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Own:
    """The user's own OpenAI-compatible server, which is already running."""

    endpoint: Endpoint


Choice = Small | Scripted | Own


def scripted_recipe(recipe: Recipe) -> Recipe:
    """The recipe with models named after the scripted server, so that records of scripted text name no real model."""
    models = {alias: model.with_(served=f"scripted:{model.served}") for alias, model in recipe.models.items()}
    return recipe.with_(models=models)


@dataclass(frozen=True)
class Server:
    """A model server of a stack."""

    endpoint: Endpoint
    process: Process | None
    """None: the user's own server, which is neither started nor stopped."""
    log: Path | None
    """The server's log of its requests; only a scripted server has one."""

    async def start(self) -> None:
        """Start the server, and return when it is ready. Raises ProcessError with the end of the log."""
        if self.process is not None:
            await self.process.start()

    async def stop(self) -> None:
        """Stop the server if `start` started it."""
        if self.process is not None:
            await self.process.terminate()


def server(choice: Choice, folder: Path, env: Mapping[str, str]) -> Server:
    """The chosen server, not started; its logs are in `folder`."""
    match choice:
        case Own():
            return Server(choice.endpoint, None, None)
        case Small():
            small = ModelServer(folder, slots=choice.slots, context=choice.context)
            return Server(Endpoint(small.base_url, max_calls=choice.slots), small.process, None)
        case Scripted():
            return _scripted(choice, folder, env)
        case _:
            assert_never(choice)


def _scripted(choice: Scripted, folder: Path, env: Mapping[str, str]) -> Server:
    port, calls = free_ports(1)[0], folder / "calls.jsonl"
    options: dict[str, object] = {
        "port": port,
        "slots": choice.slots,
        "latency": choice.latency,
        "seed": choice.seed,
        "log": calls,
    }
    if choice.data is not None:
        options["data"] = choice.data.absolute()
    argv = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    process = Process(
        "llm",
        [sys.executable, "-m", "services.llm.scripted", *argv],
        log=folder / "llm.log",
        env=env,
        cwd=_PROJECT,
        ready=lambda: _healthy(port),
    )
    return Server(Endpoint(f"http://{LOOPBACK}:{port}/v1", max_calls=choice.slots), process, calls)


async def _healthy(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}", trust_env=False) as client:

        async def answers() -> bool:
            try:
                return (await client.get("/health")).is_success
            except httpx.TransportError:
                return False

        await until(answers, every=_ASK_EVERY)
