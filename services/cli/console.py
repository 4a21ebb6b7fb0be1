"""What all commands share: where they print, their common options."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

UP = Path("build/up")
"""Where `up` lives, unless told otherwise; submit and status find it there."""

out = Console()
"""Results. With --json nothing is printed here but the JSON."""
err = Console(stderr=True)
"""Progress and complaints."""

Bootstrap = Annotated[
    str | None, typer.Option(help="Kafka's host:port, several comma-separated; else the environment's, else `up`'s.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]
Folder = Annotated[Path, typer.Option(help="The folder of a running `reasonmed up`.")]


class Failed(Exception):
    """The command can't do what it was asked to: the message says why, and what to do."""


def emit(data: Any) -> None:
    """Print data as JSON on stdout."""
    typer.echo(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode())
