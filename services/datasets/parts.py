"""The parts as DuckDB sees them: those that manifests name, each record once, filtered."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NamedTuple

import duckdb

from services.contracts.case import Difficulty
from services.contracts.topics import RECORD_COMPLETED
from services.core.errors import Trouble
from services.datasets.splits import Splits
from services.exporter.manifest import load
from services.exporter.schema import STAGES

MEMORY = "1GB"
"""DuckDB's own limit. A scan of a million records stays far below; the ids in it are looked through for repeats."""
THREADS = 2
"""Each holds a row group of a part, 5,000 records. More of them gain little: the writer has one thread."""


class NothingToExport(Trouble):
    """There are no such parts or records; the message says what there is."""


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
    difficulty: str
    source: str | None
    recipe_id: str
    model: str
    disputed: bool
    records: int
    costs: tuple[Decimal, ...]
    """USD, by stage in the order of STAGES; exact to a billionth, so that no order of adding shows."""


_REPEATS = """
    CREATE TEMP TABLE repeats AS
    SELECT record_id, min((kafka_partition, kafka_offset)) AS first
    FROM parts GROUP BY record_id HAVING count(*) > 1
"""
"""Each partition holds a record once. One that comes again after the topic was given more partitions is in two."""

_CHOSEN = """
    SELECT parts.*, {split} AS split
    FROM parts LEFT JOIN repeats USING (record_id)
    WHERE (repeats.first IS NULL OR repeats.first = (kafka_partition, kafka_offset))
      AND (len($difficulties::VARCHAR[]) = 0 OR list_contains($difficulties::VARCHAR[], difficulty))
      AND (len($sources::VARCHAR[]) = 0 OR list_contains($sources::VARCHAR[], source))
      AND (len($recipes::VARCHAR[]) = 0 OR list_contains($recipes::VARCHAR[], recipe_id))
      AND ($min_score::INT IS NULL OR score >= $min_score::INT)
      AND ($disputed::BOOL IS NULL OR gold_disputed = $disputed::BOOL)
"""

_COSTS = ", ".join(f"sum(coalesce(cost.{stage}, 0)::DECIMAL(38, 9))" for stage in STAGES)


def part_files(folder: Path) -> list[Path]:
    """The parts that the folder's manifests name now. Raises NothingToExport; BadFolder where one isn't whole."""
    numbers = sorted(int(path.stem.removeprefix("manifest-")) for path in folder.glob("manifest-*.json"))
    files = [folder / part.name for number in numbers for part in load(folder, RECORD_COMPLETED, number).parts]
    if not files:
        raise NothingToExport(f"{folder} holds no records: name a folder that the exporter has written parts into")
    return files


class Parts:
    """A DuckDB of the parts, and the records in it that a request chooses."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, filters: Filters, splits: Splits) -> None:
        self.connection = connection
        self.chosen = _CHOSEN.format(split=splits.sql)
        self.parameters: dict[str, Any] = {
            "seed": splits.seed,
            "difficulties": list(filters.difficulties),
            "sources": list(filters.sources),
            "recipes": list(filters.recipes),
            "min_score": filters.min_score,
            "disputed": filters.disputed,
        }

    def values(self, column: Literal["source", "recipe_id"]) -> set[str]:
        """Those of a column in all the parts, before any filter."""
        return {value for (value,) in self._rows(f"SELECT DISTINCT {column} FROM parts") if value is not None}  # noqa: S608

    def groups(self) -> list[Group]:
        """The chosen records, counted by all that a card tells apart; in order."""
        names = "split, difficulty, source, recipe_id, model, gold_disputed"
        rows = self._rows(
            f"SELECT {names}, count(*), {_COSTS} FROM ({self.chosen}) GROUP BY {names} ORDER BY {names}",  # noqa: S608
            self.parameters,
        )
        return [Group._make((*row[:7], row[7:])) for row in rows]

    def questions(self) -> dict[str, int]:
        """How many different questions the chosen records of each split have."""
        query = f"SELECT split, count(DISTINCT case_id) FROM ({self.chosen}) GROUP BY split"  # noqa: S608
        return dict(self._rows(query, self.parameters))

    def _rows(self, query: str, parameters: dict[str, Any] | None = None) -> list[Any]:
        return self.connection.execute(query, parameters).fetchall()


@contextmanager
def opened(files: list[Path], filters: Filters, splits: Splits, *, spill: Path, threads: int) -> Iterator[Parts]:
    """The parts, until the end of the block. Parts of other contract versions may lack columns, which are null then.

    `spill` is a folder for what memory doesn't hold. Raises duckdb.Error.
    """
    config: dict[str, str | int | float | list[str]] = {
        "memory_limit": MEMORY,
        "threads": threads,
        "temp_directory": str(spill),
        "preserve_insertion_order": False,  # rows are put in order later
        "autoinstall_known_extensions": False,  # what is needed is in the wheel: nothing is fetched
    }
    with duckdb.connect(config=config) as connection:
        connection.read_parquet([str(file) for file in files], union_by_name=True).create_view("parts")
        connection.execute(_REPEATS)
        yield Parts(connection, filters, splits)
