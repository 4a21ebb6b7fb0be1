"""`reasonmed replay`: real questions through the whole stream, answered from recordings."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from services import recipes
from services.cli.console import Json
from services.cli.run.bounded import perform_watched, report
from services.local.demo import Part
from services.local.processes.folders import first_free
from services.local.replay import deadline_s, sample
from services.local.servers import model_server as serving


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
    drawn = sample(data, questions, seed)
    model = serving.Scripted(slots=slots, latency=latency, seed=seed, data=data)
    with first_free(folder) as ours:
        title = f"REPLAY of {questions} questions, recorded answers"
        part = Part(title, ours, recipes.load("default"), model, drawn, deadline_s(questions), workers=workers)
        result = asyncio.run(perform_watched(part))
    report([(part, result)], json)
