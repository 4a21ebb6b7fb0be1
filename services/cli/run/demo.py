"""`reasonmed demo`: the sample questions through the whole stream on this machine."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from services import recipes
from services.cli.console import Json
from services.cli.run.bounded import perform_watched, report
from services.core.endpoint import Endpoint
from services.local import demo as parts
from services.local.demo import Part
from services.local.processes.folders import first_free
from services.local.servers import model_server as serving

PARTS = ("real", "scripted")


def demo(
    folder: Annotated[Path, typer.Option(help="Kafka, ledger, logs and datasets of both parts.")] = Path("build/demo"),
    only: Annotated[str | None, typer.Option(help="Run one part only: real or scripted.")] = None,
    llm_url: Annotated[
        str | None, typer.Option("--llm-url", help="URL of an OpenAI-compatible server (up to /v1) for the real part.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model's name on that server; required with --llm-url.")] = None,
    json: Json = False,
) -> None:
    """Run the whole stream on this machine: Apache Kafka, and a process for each service.

    Three sample questions run on a small real model (real tokens, poor medicine), then all thirty on a SCRIPTED
    server that takes every route. Each part stops when every question has ended, and leaves a dataset and a
    summary.json. It takes two to three minutes on two cores.

    Example:  reasonmed demo --llm-url http://127.0.0.1:8000/v1 --model HuggingFaceTB/SmolLM2-135M-Instruct
    """
    if only not in (None, *PARTS):
        raise typer.BadParameter(f"--only {only}: one of {', '.join(PARTS)}")
    if (llm_url is None) != (model is None):
        raise typer.BadParameter("--llm-url and --model are required together")
    with first_free(folder) as claimed:
        parts = [part for name, part in _parts(claimed, llm_url, model).items() if only in (None, name)]
        results = [(part, asyncio.run(perform_watched(part))) for part in parts]
    report(results, json)


def _parts(folder: Path, llm_url: str | None, model: str | None) -> dict[str, Part]:
    recipe = recipes.load("demo")
    if model is not None:
        recipe = parts.served_as(recipe, model)
    return {
        "real": parts.real(folder, recipe, _choice(llm_url)),
        "scripted": parts.scripted(folder, recipes.load("default")),
    }


def _choice(llm_url: str | None) -> serving.Choice:
    return serving.Small() if llm_url is None else serving.Own(endpoint=Endpoint(llm_url, max_calls=16))
