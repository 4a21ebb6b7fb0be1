"""The records as DuckDB sees them: each once, placed in a split, filtered."""

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
from services.datasets.questions import HeldOut, place_questions
from services.datasets.splits import Splits
from services.exporter.schema import STAGES

MEMORY = "1GB"
"""DuckDB's own limit. A scan of a million records stays far below; the ids in it are looked through for repeats."""
THREADS = 2
"""Each holds a row group, 1,000 records. More of them gain little: the writer has one thread."""


class NothingToExport(Trouble):
    """There are no such records; the message says what there is."""


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which records: those that pass every filter. An empty tuple or None lets all pass."""

    difficulties: tuple[Difficulty, ...] = ()
    sources: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ()
    min_score: int | None = None
    """Records without a score don't pass."""
    disputed: bool | None = None
    """Whether every path that states an answer states the same other one than gold."""


class Group(NamedTuple):
    """Some of the chosen records, counted."""

    split: str
    difficulty: Difficulty
    source: str | None
    recipe_id: str
    model: str
    disputed: bool
    records: int
    costs: tuple[Decimal, ...]
    """USD by stage, in the order of STAGES; exact to a billionth, so that no order of adding shows."""


_REPEATS = """
    CREATE TABLE repeats AS
    SELECT record_id, min((kafka_partition, kafka_offset)) AS first
    FROM records GROUP BY record_id HAVING count(*) > 1
"""
"""A record may be there twice, until `reasonmed dataset compact`: when it came again after the topic's retention, or
after the topic was given more partitions."""

_FILTERED = """
    SELECT records.*, split, held_out
    FROM records JOIN questions USING (case_id) LEFT JOIN repeats USING (record_id)
    WHERE (repeats.first IS NULL OR repeats.first = (kafka_partition, kafka_offset))
      AND (len($difficulties::VARCHAR[]) = 0 OR list_contains($difficulties::VARCHAR[], difficulty))
      AND (len($sources::VARCHAR[]) = 0 OR list_contains($sources::VARCHAR[], source))
      AND (len($recipes::VARCHAR[]) = 0 OR list_contains($recipes::VARCHAR[], recipe_id))
      AND ($min_score::INT IS NULL OR score >= $min_score::INT)
      AND ($disputed::BOOL IS NULL OR gold_disputed = $disputed::BOOL)
"""
_CHOSEN = f"SELECT * FROM ({_FILTERED}) WHERE held_out IS NULL"  # noqa: S608 - of this module's constants

_COSTS = ", ".join(f"sum(coalesce(cost.{stage}, 0)::DECIMAL(38, 9))" for stage in STAGES)


class Records:
    """A DuckDB of the records, and those of them that a request chooses."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, filters: Filters) -> None:
        self._connection = connection
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
        """The chosen records, counted by all that a card tells apart; in order."""
        names = "split, difficulty, source, recipe_id, model, gold_disputed"
        rows = self._rows(f"SELECT {names}, count(*), {_COSTS} FROM ({_CHOSEN}) GROUP BY {names} ORDER BY {names}")  # noqa: S608
        return [Group._make((*row[:7], row[7:])) for row in rows]

    def questions(self) -> dict[str, int]:
        """How many different questions the chosen records of each split have."""
        return dict(self._rows(f"SELECT split, count(DISTINCT case_id) FROM ({_CHOSEN}) GROUP BY split"))  # noqa: S608

    def held_out(self) -> dict[str, tuple[int, int]]:
        """Records and questions that pass the filters and are left out, by evaluation file."""
        found = self._rows(
            f"SELECT held_out, count(*), count(DISTINCT case_id) FROM ({_FILTERED}) "  # noqa: S608
            "WHERE held_out IS NOT NULL GROUP BY ALL ORDER BY ALL"
        )
        return {file: (records, questions) for file, records, questions in found}

    def read(self, columns: Sequence[str], *, each: Literal["record", "question"], batch: int) -> Any:
        """A reader of Arrow batches: `key` (a record id), `split` and these columns of each chosen record; or of the
        first record of each chosen question."""
        once = "QUALIFY 1 = row_number() OVER (PARTITION BY case_id ORDER BY record_id)" if each == "question" else ""
        query = f"SELECT record_id AS key, split, {', '.join(columns)} FROM ({_CHOSEN}) {once}"  # noqa: S608
        return self._connection.sql(query, params=self._parameters).to_arrow_reader(batch)

    def _rows(self, query: str) -> list[Any]:
        return self._connection.execute(query, self._parameters).fetchall()


@contextmanager
def opened(
    dataset: Dataset, filters: Filters, splits: Splits, held_out: HeldOut | None, *, spill: Path, threads: int
) -> Iterator[Records]:
    """The records, until the end of the block. `spill` is a folder beyond the limit of memory. Raises duckdb.Error."""
    config: dict[str, str | int | float | list[str]] = {
        "memory_limit": MEMORY,
        "threads": threads,
        "temp_directory": str(spill),
        "preserve_insertion_order": False,  # rows are put in order later
        "autoinstall_known_extensions": False,  # what is needed is in the wheel: nothing is fetched
    }
    with duckdb.connect(config=config) as connection:
        dataset.create_view(connection, "records")
        connection.execute(_REPEATS)
        place_questions(connection, splits, held_out)
        yield Records(connection, filters)
