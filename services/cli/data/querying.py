"""How `reasonmed sql` and `analyse` read topics and records, and print what a query finds."""

import asyncio
from pathlib import Path

import duckdb

from services.cli.console import Failed, err, out
from services.cli.coordinates import client
from services.cli.data.dataset import dataset_of
from services.cli.data.rows import show, write_csv, write_json
from services.cli.piped import piped
from services.cli.watch.tap import exist
from services.runtime.kafka.client import KafkaClient
from services.taps import analyses
from services.taps.database import add_paths, add_records, database, query
from services.taps.load import load
from services.taps.tables import TOPICS


def run(
    text: str, *, topics: bool, dataset: str | None, csv: bool, json: bool, bootstrap: str | None, folder: Path
) -> None:
    """Run SQL over records, topics, or both. Raises Failed, BrokerAway."""
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
            _read_topics(db, bootstrap, folder)
        if dataset is not None:
            add_paths(db, dataset)
        result = query(db, text)
        (write_json if json else write_csv if csv else show)(result)


def analyse(name: str, *, json: bool, bootstrap: str | None, folder: Path) -> None:
    """Run a ready-made analysis of the topics, and of the dataset's paths. Raises Failed, BrokerAway."""
    with piped(), database() as db:
        _read_topics(db, bootstrap, folder)
        add_paths(db, folder / "dataset")
        result = query(db, analyses.sql(name))
        if json:
            write_json(result)
            return
        show(result)
        out.print(analyses.about(name), highlight=False, markup=False)


def _read_topics(db: duckdb.DuckDBPyConnection, bootstrap: str | None, folder: Path) -> None:
    with err.status("reading topics"):
        asyncio.run(_read(db, client(bootstrap, folder)))


async def _read(db: duckdb.DuckDBPyConnection, kafka: KafkaClient) -> None:
    await exist(kafka, TOPICS)
    await load(db, kafka)
