"""`reasonmed sql`: SQL over records and topics."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console import UP, Bootstrap, Failed, Folder, Json, err
from services.cli.data.dataset import dataset_of
from services.cli.data.rows import show, write_csv, write_json
from services.cli.piped import piped
from services.cli.watch.tap import exist

if TYPE_CHECKING:
    import duckdb

    from services.runtime.kafka.client import KafkaClient


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
    """Run SQL over `records`, the dataset as it is now, which needs no Kafka; with --topics also over `cases`, `paths`,
    `calls` and `models`, read from Kafka for this one query.

    The meaning of each column: SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal. A
    name that comes twice in a result gets a number. Beyond 1 GB of memory, temporary files are used.

    Example:  reasonmed sql "SELECT difficulty, count(*), sum(cost_usd) FROM records GROUP BY ALL"
    """
    from services.taps.database import add_records, database
    from services.taps.database import query as run

    if csv and json:
        raise typer.BadParameter("give one of them", param_hint="--csv, --json")
    if dataset is None and not topics:
        dataset = str(dataset_of(folder))
    elif dataset is None and (folder / "dataset").is_dir():
        dataset = str(folder / "dataset")
    elif dataset is not None and "://" not in dataset and not Path(dataset).is_dir():
        raise Failed(f"there is no dataset in {dataset}: name its folder with --dataset")
    with piped(), database() as db:
        if dataset is not None:
            add_records(db, dataset)
        if topics:
            read_topics(db, bootstrap, folder)
        result = run(db, query)
        (write_json if json else write_csv if csv else show)(result)


def read_topics(db: "duckdb.DuckDBPyConnection", bootstrap: str | None, folder: Path) -> None:
    """Load the topics of a cluster. Raises BrokerAway, Failed."""
    from services.cli.coordinates import client

    with err.status("reading topics"):
        asyncio.run(_read(db, client(bootstrap, folder)))


async def _read(db: "duckdb.DuckDBPyConnection", kafka: "KafkaClient") -> None:
    from services.taps.load import load
    from services.taps.tables import TOPICS

    await exist(kafka, TOPICS)
    await load(db, kafka)
