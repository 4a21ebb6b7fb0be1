"""`reasonmed analyse`: five ready-made analyses of the stream."""

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
    """Run an analysis of the topics, and print how to read the result.

    `verdicts` by model and temperature, `cost` by difficulty, what `refinement` repairs, the `agreement` of judge and
    stated answer, `disputed` questions. Each is a query in services/taps/analyses, which you can adapt with
    `reasonmed sql --topics`; docs/analyses.ipynb shows all of them.

    Example:  reasonmed analyse verdicts
    """
    from services.cli.data import querying  # only when it runs: --help needs the options alone

    querying.analyse(name, json=json, bootstrap=bootstrap, folder=folder)
