"""`reasonmed replay`: real questions through the whole stream, answered from recordings."""

import asyncio
from pathlib import Path
from typing import Annotated, Literal

import typer

from services import recipes
from services.cli.console import Json
from services.cli.run.bounded import perform_watched, report
from services.local.audit.full_plan import FullPlan
from services.local.demo import Part
from services.local.processes.folders import first_free
from services.local.replay import deadline_s, sample
from services.local.servers import model_server as serving


def replay(  # noqa: PLR0913 -- Typer makes an option of each argument
    data: Annotated[Path, typer.Option(help="A folder with questions.jsonl.gz and recordings.jsonl.gz.")],
    questions: Annotated[int, typer.Option(min=1, help="Number of questions, drawn by the seed.")] = 1_000,
    seed: Annotated[int, typer.Option(help="Seed of the draw and of the answers.")] = 1,
    workers: Annotated[int, typer.Option(min=1, max=4, help="Processes of each stage that calls models.")] = 2,
    slots: Annotated[int, typer.Option(min=1, help="Calls that the server runs at once.")] = 64,
    latency: Annotated[str, typer.Option(help="Seconds for a call, or MIN:MAX.")] = "0.2",
    sampling: Annotated[Literal["full", "adaptive"], typer.Option(help="As in a recipe.")] = "full",
    judge: Annotated[Literal["all", "needed"], typer.Option(help="As in a recipe.")] = "all",
    folder: Annotated[Path, typer.Option(help="Kafka, ledger, logs and dataset.")] = Path("build/replay"),
    json: Json = False,
) -> None:
    """Run real questions through the whole stream, answered from recordings of real models.

    Each service is a process of its own on a new Apache Kafka. Fails if a question does not end, a call was made
    against the ledger, or a route differs from the one computed from the server's log, or from that of the full plan,
    computed from the recordings. Writes FOLDER/summary.json.

    Example:  reasonmed replay --data ../shared/data --questions 1000 --seed 1
    """
    drawn = sample(data, questions, seed)
    model = serving.Scripted(slots=slots, latency=latency, seed=seed, data=data)
    with first_free(folder) as claimed:
        title = f"REPLAY of {questions} questions, recorded answers"
        recipe = recipes.load("default").with_(sampling=sampling, judge=judge)
        plan = FullPlan.of_recordings(data, seed=seed)
        part = Part(title, claimed, recipe, model, drawn, deadline_s(questions), workers=workers, full_plan=plan)
        result = asyncio.run(perform_watched(part))
    report([(part, result)], json)
