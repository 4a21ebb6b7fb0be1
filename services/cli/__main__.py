"""`reasonmed`, also `python -m services.cli`.

Exit codes: 0 done; 1 failed, with the cause and the remedy on stderr; 2 a usage error.
"""

import asyncio
import logging
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from services.cli.commands import COMMANDS
from services.cli.lazy import HELP_OPTIONS, LazyGroup

HELP = """Medical questions in, verified chains of thought out: ReasonMed as a stream on Kafka.

A first look, on this machine alone: `reasonmed demo`. To work with it: `reasonmed up` in one
terminal, `reasonmed submit questions.jsonl` and `reasonmed status` in another.

For a Kafka other than that of `up`: --bootstrap, or REASONMED_KAFKA__BOOTSTRAP (and
__SECURITY_PROTOCOL, __SASL_MECHANISM, __USERNAME, __PASSWORD, __CAFILE). Each command's --help has an
example. docs/ has a page for each task, from docs/quickstart.md on."""


class Commands(LazyGroup):
    """The command line."""

    entries = COMMANDS


app = typer.Typer(
    cls=Commands,
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": HELP_OPTIONS},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # a tenth of the start-up

        typer.echo(f"reasonmed {version('reasonmed-stream')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options before the command."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit. An error outside our code prints a sentence, not a traceback."""
    for library in ("aiokafka", "asyncio"):  # they log what also comes as an error
        logging.getLogger(library).setLevel(logging.CRITICAL)
    try:
        app(arguments)
    except asyncio.CancelledError:  # by SIGTERM; everything that was started has ended in order
        typer.secho("stopped before it was done", err=True)
        sys.exit(1)
    except Exception as error:
        from services.cli.errors import sentence  # its imports are only needed here

        if (text := sentence(error)) is None:
            raise
        typer.secho(f"error: {text}", fg=typer.colors.RED, err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
