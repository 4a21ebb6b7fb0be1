"""`reasonmed sql`: SQL over records and topics."""

from typing import Annotated

import typer

from services.cli.console import UP, Bootstrap, Folder, Json


def sql(
    query: Annotated[str, typer.Argument(help="DuckDB's SQL.", metavar="SELECT …")],
    topics: Annotated[
        bool, typer.Option("--topics", help="Load the topics as well: cases, paths, calls, models.")
    ] = False,
    dataset: Annotated[str | None, typer.Option(help="A folder or URL; else dataset/ in --folder.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    json: Json = False,
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
) -> None:
    """Run SQL over the dataset as it is now, which needs no Kafka: `records`, and `paths`, every judged path of ended
    cases. With --topics also over `cases`, `calls` and `models`, read from Kafka for this one query; `paths` then has
    those of open cases too.

    The meaning of each column: SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal. A
    name that comes twice in a result gets a number. Beyond 1 GB of memory, temporary files are used.

    Example:  reasonmed sql "SELECT difficulty, count(*), sum(cost_usd) FROM records GROUP BY ALL"
    """
    from services.cli.data import querying  # only when it runs: --help needs the options alone

    if csv and json:
        raise typer.BadParameter("give one of them", param_hint="--csv, --json")
    querying.run(query, topics=topics, dataset=dataset, csv=csv, json=json, bootstrap=bootstrap, folder=folder)
