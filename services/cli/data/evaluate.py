"""`reasonmed evaluate`: how good a sample of the finished records is."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import UP, Folder, Json
from services.cli.data.dataset import dataset_of


def evaluate(
    dataset: Annotated[Path | None, typer.Argument(help="An exporter's folder; else FOLDER/dataset.")] = None,
    sample: Annotated[int, typer.Option(min=1, help="Records to rate: three calls for each.")] = 200,
    seed: Annotated[int, typer.Option(help="Another seed, another sample.")] = 1,
    evaluator: Annotated[
        Path | None, typer.Option(help="A YAML file: model, prompt, sampling. Default: the paper's figures.")
    ] = None,
    llm_url: Annotated[
        str | None, typer.Option("--llm-url", help="Ask this OpenAI-compatible server (up to /v1); else the alias's.")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="The file to write. Default: evaluation.json beside DATASET.")] = None,
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """Have a model rate a sample of records from 1 to 10: clinical accuracy, logic, factual correctness, completeness.

    Each record is rated as chain of thought, as summary, and as both: the paper's three datasets. The sample has the
    dataset's shares of difficulties and models. Means come with 95% intervals for the drawing of questions; they say
    nothing of how right the evaluator is. Calls go through the ledger: after Ctrl-C, or with a larger sample, the same
    command pays only for what is missing.

    Example:  reasonmed evaluate build/up/dataset --sample 200 --seed 1
    """
    from services.cli.data import evaluating  # only when it runs: --help needs the options alone

    evaluating.run(
        dataset or dataset_of(folder),
        sample=sample,
        seed=seed,
        evaluator=evaluator,
        llm_url=llm_url,
        to=to,
        folder=folder,
        json=json,
    )
