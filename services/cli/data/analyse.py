"""`reasonmed analyse`: five questions that teams ask of the stream."""

from typing import Annotated, Literal

import typer

from services.cli.console import UP, Bootstrap, Folder, Json


def analyse(
    name: Annotated[
        Literal["verdicts", "cost", "refinement", "agreement", "disputed"], typer.Argument(help="Which analysis.")
    ],
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """Answer a question from the topics, and say how to read the answer.

    `verdicts` by model and temperature, `cost` by difficulty, what `refinement` repairs, the `agreement` of judge and
    stated answer, `disputed` questions. Each is a query in services/taps/analyses, to be taken further with
    `reasonmed sql --topics`; docs/analyses.ipynb shows all of them at work.

    Example:  reasonmed analyse verdicts
    """
    from services.cli.data import querying  # only when it runs: --help needs the options alone

    querying.analyse(name, json=json, bootstrap=bootstrap, folder=folder)
