"""`reasonmed`, also `python -m services.cli`. Exit codes: 0 done, 1 failed (one sentence on stderr says what to do),
2 the command was not understood."""

import asyncio
import logging
import sys
from collections.abc import Sequence

import typer

from services.cli.data import analyse, evaluate, export, maintain, sql
from services.cli.ingest import index, submit
from services.cli.repair import circuit, dead, ledger
from services.cli.run import demo, recipes, reply, topics, up
from services.cli.watch import account, budget, show, status, tap

HELP = """Medical questions in, verified chains of thought out: ReasonMed as a stream on Kafka.

A first look, on this machine alone: `reasonmed demo`. To work with it: `reasonmed up` in one
terminal, `reasonmed submit questions.jsonl` and `reasonmed status` in another.

Another Kafka than that of `up`: --bootstrap, or REASONMED_KAFKA__BOOTSTRAP (and __SECURITY_PROTOCOL,
__SASL_MECHANISM, __USERNAME, __PASSWORD, __CAFILE). Each command's --help has an example; a page for each
task is in docs/, from docs/quickstart.md on."""

app = typer.Typer(
    help=HELP, no_args_is_help=True, rich_markup_mode="markdown", add_completion=False, pretty_exceptions_enable=False
)
app.command("up", rich_help_panel="Run")(up.up)
app.add_typer(topics.app, name="topics", rich_help_panel="Run")
app.add_typer(recipes.app, name="recipes", rich_help_panel="Run")
app.command("reply", rich_help_panel="Run")(reply.reply)
app.command("demo", rich_help_panel="Run")(demo.demo)
app.command("replay", rich_help_panel="Run")(demo.replay)
app.command("submit", rich_help_panel="Hand in")(submit.submit)
app.command("index", rich_help_panel="Hand in")(index.index)
app.command("status", rich_help_panel="Watch")(status.status)
app.command("show", rich_help_panel="Watch")(show.show)
app.command("tap", rich_help_panel="Watch")(tap.tap)
app.command("account", rich_help_panel="Watch")(account.account)
app.add_typer(budget.app, name="budget", rich_help_panel="Watch")
app.command("export", rich_help_panel="Use what comes out")(export.export)
app.add_typer(maintain.app, name="dataset", rich_help_panel="Use what comes out")
app.command("sql", rich_help_panel="Use what comes out")(sql.sql)
app.command("analyse", rich_help_panel="Use what comes out")(analyse.analyse)
app.command("evaluate", rich_help_panel="Use what comes out")(evaluate.evaluate)
app.add_typer(dead.app, name="dead", rich_help_panel="Mend")
app.add_typer(circuit.app, name="circuit", rich_help_panel="Mend")
app.add_typer(ledger.app, name="ledger", rich_help_panel="Mend")


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
