"""DuckDB over records and topics: tables that may be larger than memory."""

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]

from services.core.errors import Trouble
from services.core.messages import ConsumedRecord
from services.exporter.dataset import dataset_files
from services.exporter.schema import SCHEMA
from services.taps.tables import COST, TABLES, Columns, Row, rows, schema

MEMORY = "1GB"
"""That DuckDB may use: it runs beside others on a laptop. What doesn't fit is in files beside the database."""

BATCH_BYTES = 16 * 2**20
"""Bytes of messages whose rows are inserted at once; as rows of Python they need some five times as much."""

SLICE = 1_000
"""Rows of a result that are in our hands at once."""

_FINISH = """
-- Of the states of a work the last: in its last life the one of most rounds, and of those its end.
CREATE TEMP TABLE latest AS FROM all_cases QUALIFY 1 = row_number() OVER (
    PARTITION BY work_id ORDER BY life DESC, rounds DESC, ended IS NULL, state DESC
);
CREATE TABLE cases AS SELECT * EXCLUDE (state) FROM latest;
CREATE TABLE paths AS SELECT * EXCLUDE (state) FROM all_paths SEMI JOIN latest USING (state);
CREATE TABLE models AS SELECT DISTINCT * EXCLUDE (state) FROM all_models;
CREATE TEMP TABLE once AS SELECT * EXCLUDE (state) FROM all_calls QUALIFY 1 = row_number() OVER (
    PARTITION BY work_id, call_id ORDER BY state
);
CREATE TABLE calls AS
    SELECT once.*, (prompt * price_in + completion * price_out) / 1e6 AS cost_usd
    FROM once LEFT JOIN models USING (recipe_id, alias);
DROP TABLE latest;
DROP TABLE once;
"""


class BadQuery(Trouble):
    """DuckDB refuses the SQL, or can't do it: the message is its own."""


@dataclass(frozen=True)
class Result:
    """What a query came to. The rows may be read once, while the connection is open. Raises BadQuery, also there."""

    columns: Sequence[str]
    rows: Iterator[tuple[Any, ...]]


@contextmanager
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database in a folder of its own, gone with it."""
    with tempfile.TemporaryDirectory(prefix="reasonmed-sql-") as folder:
        settings: dict[str, Any] = {
            "memory_limit": MEMORY,
            "temp_directory": str(Path(folder) / "spilt"),
            "preserve_insertion_order": False,  # which would hold more in memory
            "autoinstall_known_extensions": False,  # a query is not to fetch code
        }
        with duckdb.connect(Path(folder) / "taps.duckdb", config=settings) as db:
            yield db


def query(db: duckdb.DuckDBPyConnection, sql: str) -> Result:
    """Run a query; of several statements, the last one's result. Raises BadQuery."""
    try:
        done = db.execute(sql)
    except duckdb.Error as error:
        raise BadQuery(str(error)) from error
    return Result([name for name, *_ in done.description or ()], _fetched(done))


def add_records(db: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """The view `records`: what the manifests in this folder name now. No rows where they name nothing."""
    files = [str(path) for path in dataset_files(folder)]
    if files:
        db.read_parquet(files, union_by_name=True).create_view("records")
    else:
        _create(db, "records", SCHEMA)
    _describe(db, "records", {field.name: field.metadata[b"description"].decode() for field in SCHEMA})


class Tables:
    """The tables `cases`, `paths`, `calls` and `models`, filled from messages of tables.TOPICS.

    Repeats change nothing: a work is the last of its states, a call counts once. Holds one batch of messages at most.
    """

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        self._db = db
        self._state = 0
        self._bytes = 0
        self._rows: defaultdict[str, list[Row]] = defaultdict(list)
        for name, columns in TABLES.items():
            _create(db, f"all_{name}", schema(_staged(columns)))

    def take(self, message: ConsumedRecord) -> None:
        """One more message; one that can't be read is passed over."""
        self._state += 1
        for name, found in rows(message).items():
            self._rows[name] += [{**row, "state": self._state} for row in found]
        self._bytes += len(message.value or b"")
        if self._bytes >= BATCH_BYTES:
            self._insert()

    def finish(self) -> None:
        """The tables stand, and take no more."""
        self._insert()
        self._db.execute(_FINISH)
        for name, columns in {**TABLES, "calls": (*TABLES["calls"], COST)}.items():
            self._db.execute(f"DROP TABLE all_{name}")
            _describe(self._db, name, {column: text for column, _, text in columns})

    def _insert(self) -> None:
        for name, found in self._rows.items():
            batch = pa.Table.from_pylist(found, schema=schema(_staged(TABLES[name])))
            self._db.register("batch", batch).execute(f"INSERT INTO all_{name} FROM batch")
            self._db.unregister("batch")
        self._rows.clear()
        self._bytes = 0


def _staged(columns: Columns) -> Columns:
    return (*columns, ("state", pa.int64(), "The number of the message that says so."))


def _create(db: duckdb.DuckDBPyConnection, name: str, columns: pa.Schema) -> None:
    db.register("empty", columns.empty_table()).execute(f"CREATE TABLE {name} AS FROM empty")
    db.unregister("empty")


def _describe(db: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str]) -> None:
    quoted = ((name, text.replace("'", "''")) for name, text in columns.items())
    comments = (f"COMMENT ON COLUMN {table}.{name} IS '{text}';" for name, text in quoted)
    db.execute(f"BEGIN; {' '.join(comments)} COMMIT;")  # one commit, not one a column


def _fetched(done: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    try:
        while some := done.fetchmany(SLICE):
            yield from some
    except duckdb.Error as error:
        raise BadQuery(str(error)) from error
