"""`reasonmed`, also `python -m services.cli`. Exit codes: 0 done, 1 failed (one sentence on stderr says what to do),
2 the command was not understood."""

import asyncio
import logging
import sys
from collections.abc import Sequence

import typer

from services.cli import (
    account,
    analyse,
    budget,
    circuit,
    dead,
    demo,
    evaluate,
    export,
    index,
    ledger,
    recipes,
    show,
    sql,
    status,
    submit,
    tap,
    topics,
    up,
)

HELP = """Medical questions in, verified chains of thought out: ReasonMed as a stream on Kafka.

A first look, on this machine alone: `reasonmed demo`. To work with it: `reasonmed up` in one
terminal, `reasonmed submit questions.jsonl` and `reasonmed status` in another.

Another Kafka than that of `up`: --bootstrap, or REASONMED_KAFKA__BOOTSTRAP (and __SECURITY_PROTOCOL,
__SASL_MECHANISM, __USERNAME, __PASSWORD, __CAFILE)."""

app = typer.Typer(
    help=HELP, no_args_is_help=True, rich_markup_mode="markdown", add_completion=False, pretty_exceptions_enable=False
)
app.command("up")(up.up)
app.command("submit")(submit.submit)
app.command("index")(index.index)
app.command("status")(status.status)
app.command("show")(show.show)
app.add_typer(topics.app, name="topics")
app.add_typer(recipes.app, name="recipes")
app.add_typer(dead.app, name="dead")
app.add_typer(circuit.app, name="circuit")
app.add_typer(ledger.app, name="ledger")
app.add_typer(budget.app, name="budget")
app.command("demo")(demo.demo)
app.command("replay")(demo.replay)
app.command("account")(account.account)
app.command("tap")(tap.tap)
app.command("sql")(sql.sql)
app.command("analyse")(analyse.analyse)
app.command("export")(export.export)
app.command("evaluate")(evaluate.evaluate)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit. What went wrong outside our code is told in a sentence, without a traceback."""
    for library in ("aiokafka", "asyncio"):  # what they have to say comes as an error as well, if it matters
        logging.getLogger(library).setLevel(logging.CRITICAL)
    try:
        app(arguments)
    except asyncio.CancelledError:  # by SIGTERM; all that was started has ended in order
        typer.secho("ended before it was done", err=True)
        sys.exit(1)
    except Exception as error:
        from services.cli.errors import sentence

        if (said := sentence(error)) is None:
            raise
        typer.secho(f"error: {said}", fg=typer.colors.RED, err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
