"""DuckDB over records and topics: tables that may be larger than memory."""

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from services.core.errors import Trouble
from services.core.messages import ConsumedRecord
from services.datasets.dataset import Dataset
from services.exporter.layout import PATHS
from services.exporter.path_schema import Columns
from services.exporter.schema import SCHEMA
from services.taps.tables import COST, TABLES, Row, rows, schema

MEMORY = "1GB"
"""DuckDB's memory limit, low enough for a laptop. Beyond it, DuckDB uses temporary files beside the database."""

BATCH_BYTES = 16 * 2**20
"""Bytes of messages whose rows are inserted in one batch; as Python rows they need about five times as much."""

SLICE = 1_000
"""Rows of a result that are fetched at a time."""

_FINISH = """
-- The latest state of each work: in its last life, the one with the most rounds, its end last.
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


_STORED = "SELECT * REPLACE (written_at::TIMESTAMP_MS AS written_at) FROM paths_stored"
_AND_IN_TOPICS = """
    UNION ALL BY NAME (FROM paths_in_topics ANTI JOIN (SELECT DISTINCT work_id FROM paths_stored) USING (work_id))
"""


class BadQuery(Trouble):
    """DuckDB refuses the SQL, or fails: the message is DuckDB's."""


@dataclass(frozen=True)
class Result:
    """The result of a query. The rows may be read once, while the connection is open, and raise BadQuery."""

    columns: Sequence[str]
    """Distinct column names."""
    rows: Iterator[tuple[Any, ...]]


@contextmanager
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database in a temporary folder, removed at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="reasonmed-sql-") as folder:
        settings: dict[str, Any] = {
            "memory_limit": MEMORY,
            "temp_directory": str(Path(folder) / "spilt"),
            "preserve_insertion_order": False,  # the order would need more memory
            "autoinstall_known_extensions": False,  # a query must not fetch code
        }
        with duckdb.connect(Path(folder) / "taps.duckdb", config=settings) as db:
            db.execute("SET TimeZone = 'UTC'")
            yield db


def query(db: duckdb.DuckDBPyConnection, sql: str) -> Result:
    """Run a query; of several statements, the last one's result. Raises BadQuery."""
    try:
        done = db.execute(sql)
    except duckdb.Error as error:
        raise BadQuery(str(error)) from error
    if done is None:
        raise BadQuery("the query is empty")
    return Result(_distinct([name for name, *_ in done.description or ()]), _fetched(done))


def add_records(db: duckdb.DuckDBPyConnection, where: str | Path) -> None:
    """Create the view `records`: the dataset in this folder, or at this URL, as it is now. Raises BadDataset."""
    Dataset.open(where).create_view(db, "records_now")
    db.execute("CREATE VIEW records AS FROM records_now")
    (names,) = zip(*db.execute("SELECT column_name FROM (DESCRIBE records)").fetchall(), strict=True)
    known = {field.name: field.metadata[b"description"].decode() for field in SCHEMA}
    _describe(db, "records", {name: text for name, text in known.items() if name in names})


def add_paths(db: duckdb.DuckDBPyConnection, where: str | Path) -> None:
    """Create the view `paths`: the dataset's table of paths, if there is one, and those of the topics' cases, if they
    are loaded, that are not in it. Raises BadDataset."""
    stored = Dataset.open(where, PATHS)
    if not stored.exists:
        return
    stored.create_view(db, "paths_stored")
    in_topics = bool(db.execute("FROM duckdb_tables() WHERE table_name = 'paths'").fetchall())
    if in_topics:
        db.execute("ALTER TABLE paths RENAME TO paths_in_topics")
    db.execute(f"CREATE VIEW paths AS {_STORED} {_AND_IN_TOPICS if in_topics else ''}")
    _describe(db, "paths", {field.name: field.metadata[b"description"].decode() for field in PATHS.schema})


class Tables:
    """The tables `cases`, `paths`, `calls` and `models`, filled from messages of tables.TOPICS.

    Repeats change nothing: a work is the last of its states, a call counts once. Buffers one batch of messages at most.
    """

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        self._db = db
        self._state = 0
        self._bytes = 0
        self._rows: defaultdict[str, list[Row]] = defaultdict(list)
        for name, columns in TABLES.items():
            _create(db, f"all_{name}", schema(_staged(columns)))

    def take(self, message: ConsumedRecord) -> None:
        """Add a message. One that can't be read is skipped."""
        self._state += 1
        for name, found in rows(message).items():
            self._rows[name] += [{**row, "state": self._state} for row in found]
        self._bytes += len(message.value or b"")
        if self._bytes >= BATCH_BYTES:
            self._insert()

    def finish(self) -> None:
        """Build the tables. No message may be added afterwards."""
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


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, with a number appended to repeated ones, so that rows as objects lose no column."""
    distinct: list[str] = []
    for name in names:
        candidates = (name, *(f"{name}_{number}" for number in range(2, len(names) + 2)))
        distinct.append(
            next(each for each in candidates if each not in distinct and (each == name or each not in names))
        )
    return distinct


def _staged(columns: Columns) -> Columns:
    return (*columns, ("state", pa.int64(), "The number of the message that it comes from."))


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
