"""The records, or the judged paths, in DuckDB: without repeats, with their split, filtered."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NamedTuple

import duckdb

from services.contracts.case import Difficulty
from services.core.errors import Trouble
from services.datasets.dataset import Dataset
from services.datasets.names import Form, path_form
from services.datasets.questions import HeldOut, place_questions
from services.datasets.splits import Splits
from services.exporter.schema import STAGES

MEMORY = "1GB"
"""DuckDB's memory limit. Scanning a million records and finding repeated ids needs far less."""
THREADS = 2
"""DuckDB's threads. Each holds a row group of 1,000 records; more gain little, as the writer has one thread."""


class NothingToExport(Trouble):
    """No records match. The text lists what exists."""


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Filters of records, all of which must match. An empty tuple or None matches all."""

    difficulties: tuple[Difficulty, ...] = ()
    sources: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ()
    min_score: int | None = None
    """Records without a score do not match. Of paths it concerns the correct ones only."""
    disputed: bool | None = None
    """Whether all paths that state an answer state the same one, which differs from gold."""


class Group(NamedTuple):
    """Counts of a group of the chosen records."""

    split: str
    difficulty: Difficulty
    source: str | None
    recipe_id: str
    model: str
    """Of paths, the recipe's alias of it."""
    disputed: bool
    records: int
    costs: tuple[Decimal, ...]
    """USD by stage, in the order of STAGES; exact to a billionth, so that sums do not depend on the order."""


_RECORDS = """
    CREATE VIEW records AS SELECT *, 'correct' AS standing, (kafka_partition, kafka_offset) AS place FROM stored
"""
_PATHS = """
    CREATE VIEW records AS
    SELECT * REPLACE (coalesce(difficulty, 'undecided') AS difficulty),
        path_id AS record_id, gold AS answer, alias AS model,
        (kafka_topic, kafka_partition, kafka_offset, path_id) AS place,
        MAP {} AS cost
    FROM stored
    WHERE standing IN ('correct', 'error') AND verdict_by IN ('judge', 'stated_answer')
"""
"""Not those that failed, were cut off, are empty or tell that they knew the answer: nothing is learnt from them."""

_REPEATS = """
    CREATE TABLE repeats AS
    SELECT record_id, min(place) AS first
    FROM records GROUP BY record_id HAVING count(*) > 1
"""
"""A record may occur twice until `reasonmed dataset compact`: if it was repeated after the topic's retention, or after
partitions were added to the topic."""

_FILTERED = """
    SELECT records.*, split, held_out
    FROM records JOIN questions USING (case_id) LEFT JOIN repeats USING (record_id)
    WHERE (repeats.first IS NULL OR repeats.first = place)
      AND (len($difficulties::VARCHAR[]) = 0 OR list_contains($difficulties::VARCHAR[], difficulty))
      AND (len($sources::VARCHAR[]) = 0 OR list_contains($sources::VARCHAR[], source))
      AND (len($recipes::VARCHAR[]) = 0 OR list_contains($recipes::VARCHAR[], recipe_id))
      AND ($min_score::INT IS NULL OR standing = 'error' OR score >= $min_score::INT)
      AND ($disputed::BOOL IS NULL OR gold_disputed = $disputed::BOOL)
"""

_PAIRED = """
    WITH chosen AS ({filtered}), ranked AS (
        SELECT record_id, work_id, standing, row_number() OVER (
            PARTITION BY work_id, standing
            ORDER BY kept DESC, score DESC NULLS LAST, stated IS NULL, record_id
        ) AS nth
        FROM chosen
    )
    SELECT chosen.*, {rejected}
    FROM chosen
    JOIN ranked AS right_one ON right_one.record_id = chosen.record_id AND right_one.standing = 'correct'
    JOIN ranked AS wrong_one
        ON wrong_one.work_id = right_one.work_id AND wrong_one.standing = 'error' AND wrong_one.nth = right_one.nth
    JOIN chosen AS wrong ON wrong.record_id = wrong_one.record_id
"""
"""Pairs of a work: the best correct path and a path in error, then the next two; each path at most once. Paths in error
that state an answer come first."""
_REJECTED = ("path_id", "origin", "alias", "temperature", "verdict_by", "stated", "reason", "text")

_COSTS = ", ".join(f"sum(coalesce(cost['{stage}'], 0)::DECIMAL(38, 9))" for stage in STAGES)


class Records:
    """The records in DuckDB, and those that a request chooses."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, filters: Filters, form: Form, *, columns: Sequence[str]
    ) -> None:
        self._connection = connection
        self._columns = columns
        self._filtered = _filtered(form)
        self._chosen = f"SELECT * FROM ({self._filtered}) WHERE held_out IS NULL"  # noqa: S608 - of constants
        self._parameters: dict[str, Any] = {
            "difficulties": list(filters.difficulties),
            "sources": list(filters.sources),
            "recipes": list(filters.recipes),
            "min_score": filters.min_score,
            "disputed": filters.disputed,
        }

    def values(self, column: Literal["source", "recipe_id"]) -> set[str]:
        """The values of a column in all the records, before any filter."""
        found = self._connection.execute(f"SELECT DISTINCT {column} FROM records").fetchall()  # noqa: S608
        return {value for (value,) in found if value is not None}

    def groups(self) -> list[Group]:
        """Counts of the chosen records by the dimensions of the card, sorted."""
        names = "split, difficulty, source, recipe_id, model, gold_disputed"
        rows = self._rows(f"SELECT {names}, count(*), {_COSTS} FROM ({self._chosen}) GROUP BY {names} ORDER BY {names}")  # noqa: S608
        return [Group._make((*row[:7], row[7:])) for row in rows]

    def spared(self) -> dict[str, tuple[int, float]]:
        """Calls and USD that the cases of the chosen records did not need, by what spared them. A case counts with its
        first record."""
        if "spared" not in self._columns:  # an older table
            return {}
        found = self._rows(
            f"SELECT each.by, sum(each.calls), sum(each.usd::DECIMAL(38, 9)) "  # noqa: S608
            f"FROM (SELECT unnest(spared) AS each FROM ({self._chosen})) GROUP BY ALL ORDER BY ALL"
        )
        return {by: (int(calls), float(usd)) for by, calls, usd in found}

    def questions(self) -> dict[str, int]:
        """The number of distinct questions of the chosen records, by split."""
        return dict(self._rows(f"SELECT split, count(DISTINCT case_id) FROM ({self._chosen}) GROUP BY split"))  # noqa: S608

    def held_out(self) -> dict[str, tuple[int, int]]:
        """Records and questions that pass the filters and are left out, by evaluation file."""
        found = self._rows(
            f"SELECT held_out, count(*), count(DISTINCT case_id) FROM ({self._filtered}) "  # noqa: S608
            "WHERE held_out IS NOT NULL GROUP BY ALL ORDER BY ALL"
        )
        return {file: (records, questions) for file, records, questions in found}

    def read(self, columns: Sequence[str], *, each: Literal["record", "question"], batch: int) -> Any:
        """A reader of Arrow batches: `key` (a record id), `split` and these columns of each chosen record; or of the
        first record of each chosen question."""
        once = "QUALIFY 1 = row_number() OVER (PARTITION BY case_id ORDER BY record_id)" if each == "question" else ""
        query = f"SELECT record_id AS key, split, {', '.join(columns)} FROM ({self._chosen}) {once}"  # noqa: S608
        return self._connection.sql(query, params=self._parameters).to_arrow_reader(batch)

    def _rows(self, query: str) -> list[Any]:
        return self._connection.execute(query, self._parameters).fetchall()


def _filtered(form: Form) -> str:
    match form:
        case "prm":
            return f"{_FILTERED} AND step_ends IS NOT NULL"  # older tables lack it
        case "dpo":
            rejected = ", ".join(f"wrong.{name} AS rejected_{name}" for name in _REJECTED)
            return _PAIRED.format(filtered=_FILTERED, rejected=rejected)
        case _:
            return _FILTERED


@contextmanager
def opened(
    dataset: Dataset,
    filters: Filters,
    splits: Splits,
    held_out: HeldOut | None,
    form: Form,
    *,
    spill: Path,
    threads: int,
) -> Iterator[Records]:
    """Open the rows of a form until the end of the block: of `prm` the records whose verdict names steps, of `dpo` the
    pairs of paths. `spill`: a folder for temporary files. Raises duckdb.Error."""
    config: dict[str, str | int | float | list[str]] = {
        "memory_limit": MEMORY,
        "threads": threads,
        "temp_directory": str(spill),
        "preserve_insertion_order": False,  # rows are sorted later
        "autoinstall_known_extensions": False,  # all extensions are in the wheel: no downloads
    }
    with duckdb.connect(config=config) as connection:
        dataset.create_view(connection, "stored")
        connection.execute(_RECORDS if path_form(form) is None else _PATHS)
        connection.execute(_REPEATS)
        place_questions(connection, splits, held_out)
        yield Records(connection, filters, form, columns=dataset.schema().names)
