"""`reasonmed train`: a model from a snapshot of the records."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import UP, Folder, Json
from services.datasets.names import Variant


def train(  # noqa: PLR0913 -- Typer makes an option of each argument
    run: Annotated[Path, typer.Argument(help="The run's folder: new, or one to resume.")],
    variant: Annotated[
        Variant, typer.Option(help="The answer to train on: the chain of thought, its summary, or both.")
    ],
    base: Annotated[str, typer.Option(help="The base model: a folder with weights and tokenizer.")],
    config: Annotated[Path, typer.Option(help="The options of `trl sft`, such as deploy/training/7b.yaml.")],
    held_out: Annotated[
        Path, typer.Option(help="Leave out questions of this evaluation index (`reasonmed index` writes one).")
    ],
    env: Annotated[Path, typer.Option(help="The training environment: its bin/ has python and trl.")],
    dataset: Annotated[str | None, typer.Option(help="An exporter's folder or URL; else dataset/ in --folder.")] = None,
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """Train a model on the records: snapshot, checks, `trl sft`, a record of the run and a model card.

    The checks end a run that would cut rows, train on evaluation questions, or has no chat template. A run that was
    killed resumes from its last checkpoint; one that has ended is not run again. RUN/model has the weights. Each run
    starts from the base model, so that runs can be compared.

    Example:  reasonmed train run --variant CoTMed --base qwen --config 7b.yaml --held-out evaluation.index --env env
    """
    from services.cli.data import training  # only when it runs: --help needs the options alone

    wanted = training.Wanted(
        run=run, variant=variant, base=base, config=config, held_out=held_out, env=env, dataset=dataset, folder=folder
    )
    training.run(wanted, json=json)
