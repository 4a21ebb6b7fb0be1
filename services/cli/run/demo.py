"""`reasonmed demo` and `reasonmed replay`: bounded runs on this machine, each to a summary."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console import Failed, Json, emit, err, out

if TYPE_CHECKING:
    from services.local.demo import Part
    from services.local.run import Result
    from services.local.servers import model_server as serving

PARTS = ("real", "scripted")


def demo(
    folder: Annotated[Path, typer.Option(help="Kafka, ledger, logs and datasets of both parts.")] = Path("build/demo"),
    only: Annotated[str | None, typer.Option(help="Just one part: real or scripted.")] = None,
    llm_url: Annotated[
        str | None, typer.Option("--llm-url", help="Ask this OpenAI-compatible server (up to /v1) in the real part.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model's name there; needed with --llm-url.")] = None,
    json: Json = False,
) -> None:
    """Show the whole stream at work, on this machine alone: Apache Kafka, every service a process of its own.

    First three of our sample questions on a small real model (real tokens, poor medicine), then all thirty on a
    SCRIPTED server that takes every route. Each part ends when every question has, and leaves a dataset and a
    summary.json. Two to three minutes on two cores.

    Example:  reasonmed demo --llm-url http://127.0.0.1:8000/v1 --model HuggingFaceTB/SmolLM2-135M-Instruct
    """
    from services.local.processes.folders import first_free

    if only not in (None, *PARTS):
        raise typer.BadParameter(f"--only {only}: one of {', '.join(PARTS)}")
    if (llm_url is None) != (model is None):
        raise typer.BadParameter("--llm-url and --model belong together")
    with first_free(folder) as ours:
        parts = [part for name, part in _parts(ours, llm_url, model).items() if only in (None, name)]
        results = [(part, asyncio.run(_perform(part))) for part in parts]
    _tell(results, json)


def replay(
    data: Annotated[Path, typer.Option(help="A folder with questions.jsonl.gz and recordings.jsonl.gz.")],
    questions: Annotated[int, typer.Option(min=1, help="How many, drawn by the seed.")] = 1_000,
    seed: Annotated[int, typer.Option(help="Another seed, other questions and other answers.")] = 1,
    workers: Annotated[int, typer.Option(min=1, max=4, help="Processes of each stage that asks models.")] = 2,
    slots: Annotated[int, typer.Option(min=1, help="Calls that the server takes at once.")] = 64,
    latency: Annotated[str, typer.Option(help="Seconds a call takes, or LEAST:MOST.")] = "0.2",
    folder: Annotated[Path, typer.Option(help="Kafka, ledger, logs and dataset.")] = Path("build/replay"),
    json: Json = False,
) -> None:
    """Send real questions through the whole stream, answered with what real models once wrote on them.

    Every service is a process of its own on a fresh Apache Kafka. Fails if a question has no end, a call was made
    against the ledger, or a route isn't the one computed from the server's own log. Leaves FOLDER/summary.json.

    Example:  reasonmed replay --data ../shared/data --questions 1000 --seed 1
    """
    from services import recipes
    from services.local.demo import Part
    from services.local.processes.folders import first_free
    from services.local.replay import deadline_s, sample
    from services.local.servers import model_server as serving

    drawn = sample(data, questions, seed)
    model = serving.Scripted(slots=slots, latency=latency, seed=seed, data=data)
    with first_free(folder) as ours:
        title = f"REPLAY of {questions} questions, recorded answers"
        part = Part(title, ours, recipes.load("default"), model, drawn, deadline_s(questions), workers=workers)
        result = asyncio.run(_perform(part))
    _tell([(part, result)], json)


def _parts(folder: Path, llm_url: str | None, model: str | None) -> "dict[str, Part]":
    from services import recipes
    from services.local import demo as parts

    recipe = recipes.load("demo")
    if model is not None:
        recipe = parts.served_as(recipe, model)
    return {
        "real": parts.real(folder, recipe, _choice(llm_url)),
        "scripted": parts.scripted(folder, recipes.load("default")),
    }


def _choice(llm_url: str | None) -> "serving.Choice":
    from services.core.endpoint import Endpoint
    from services.local.servers import model_server as serving

    return serving.Small() if llm_url is None else serving.Own(endpoint=Endpoint(llm_url, max_calls=16))


async def _perform(part: "Part") -> "Result":
    from services.cli.run.view import watching
    from services.local.demo import perform
    from services.local.processes.process import sigterm_cancels
    from services.runtime.process.settings import inherited

    async with sigterm_cancels():
        with watching(err, part.title) as view:
            return await perform(part, inherited(), show=view.show, say=view.say)


def _tell(results: "list[tuple[Part, Result]]", json: bool) -> None:
    from services.cli.run.view import summary

    if json:
        emit({part.folder.name: dict(result.account) for part, result in results})
    else:
        for part, result in results:
            summary(out, part.title, result, str(part.folder))
    for part, result in results:
        if result.open:
            raise Failed(
                f"{part.title}: {len(result.open)} of {len(part.questions)} questions have not ended within "
                f"{part.deadline_s:.0f} s; see the logs in {part.folder / 'logs'}"
            )
        if result.faults:
            raise Failed(f"{part.title}: {', '.join(result.faults)} must be 0; see {part.folder / 'summary.json'}")
